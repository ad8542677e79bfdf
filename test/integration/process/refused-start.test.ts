import assert from "node:assert/strict";
import { once } from "node:events";
import { access, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { startRouter } from "../../support/router.ts";
import { clientsOf, probe } from "./clients.ts";
import { startOtherNats } from "./other-nats.ts";
import { natsServersOn } from "./processes.ts";
import { startRefused } from "./refusals.ts";

async function scratchDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "mpc-router-process-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

describe("a start that is refused", () => {
  it("for its settings names all that is wrong in one message, with exit code 78", async () => {
    await using scratch = await scratchDirectory();
    const dataDir = join(scratch.path, "data");
    const args = ["--lisen=1", "--ack-wait=never", "--max-payload", "9MiB", "--seal-key-file=none"];
    const refused = await startRefused([...args, `--data-dir=${dataDir}`], {
      MPC_ROUTER_SESION_TTL: "1m",
      MPC_ROUTER_MAX_REFUSALS: "0",
    });
    assert.equal(refused.code, 78);
    assert.deepEqual(refused.message.split("\n  "), [
      "these settings are wrong:",
      "--lisen is no setting; did you mean --listen?",
      "MPC_ROUTER_SESION_TTL is no setting; did you mean MPC_ROUTER_SESSION_TTL?",
      '--ack-wait: "never" is not a duration value such as 500ms, 2s or 10m',
      'MPC_ROUTER_MAX_REFUSALS: "0" is not within 1 to 1000',
      '--max-payload: "9MiB" is not within 1KiB to 8MiB',
      "--seal-key-file: none cannot be read (ENOENT)",
    ]);
    await assert.rejects(access(dataDir), { code: "ENOENT" });
  });

  it("for an address that strangers reach names the remedies, with exit code 78", async () => {
    await using scratch = await scratchDirectory();
    const refused = await startRefused([`--data-dir=${scratch.path}`], {
      MPC_ROUTER_LISTEN: "0.0.0.0:0",
    });
    assert.equal(refused.code, 78);
    const [, authentication = "", encryption = "", ...rest] = refused.message.split("\n  ");
    assert.match(
      authentication,
      /without authentication: configure it \(--auth-jwks, .*\), or bind loopback/,
    );
    assert.match(
      encryption,
      /in plain text: give --tls-cert and --tls-key, .*--behind-proxy.*loopback/,
    );
    assert.deepEqual(rest, []);
  });

  it("for keys that are not as they have to be says what is wrong, with exit code 78", async () => {
    await using scratch = await scratchDirectory();
    const [secret, seal] = [join(scratch.path, "secret"), join(scratch.path, "seal")];
    await writeFile(secret, "hunter2\n");
    await writeFile(seal, Buffer.alloc(32, 7).toString("base64"));
    const common = [`--data-dir=${join(scratch.path, "data")}`, `--seal-key-file=${seal}`];
    const short = await startRefused([...common, `--auth-jwt-secret-file=${secret}`]);
    assert.equal(short.code, 78);
    assert.equal(
      short.message,
      `these settings are wrong:\n  --auth-jwt-secret-file: ${secret} is shorter than 32 bytes`,
    );
    const checks = ["--auth-issuer=i", "--auth-audience=a"];
    const noSet = await startRefused([...common, ...checks, `--auth-jwks=${secret}`]);
    assert.equal(noSet.code, 78);
    assert.equal(
      noSet.message,
      `these settings are wrong:\n  --auth-jwks: ${secret} is no JSON web key set`,
    );
  });

  it("for a taken port says so, and leaves no nats-server behind", async () => {
    await using scratch = await scratchDirectory();
    await using taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;
    const refused = await startRefused([`--data-dir=${scratch.path}`], {
      MPC_ROUTER_LISTEN: `127.0.0.1:${port}`,
    });
    assert.equal(refused.code, 1);
    assert.equal(refused.message, `cannot listen on 127.0.0.1:${port}: the port is taken`);
    assert.deepEqual(await natsServersOn(scratch.path), []);
  });

  it("for a data directory in use names its router, which goes on", async () => {
    await using router = await startRouter();
    const refused = await startRefused([`--data-dir=${router.dataDir}`]);
    assert.equal(refused.code, 1);
    assert.match(
      refused.message,
      new RegExp(
        `^the data directory is in use by another router \\(process ${router.pid}, .*\\)$`,
      ),
    );
    await clientsOf(router.url).router.registerParty({ partyId: "a", partyRole: "persistent" });
    assert.equal((await probe(router.url, "/readyz"))[0], 200);
  });

  it("for a data directory that is none says why", async () => {
    const why = { "/dev/null/data": "ENOTDIR", "/proc/data": "ENOENT" };
    for (const [path, code] of Object.entries(why)) {
      const refused = await startRefused([`--data-dir=${path}`]);
      assert.equal(refused.code, 1);
      assert.equal(refused.message, `cannot make the data directory ${path} (${code})`);
    }
  });

  it("for a NATS that cannot be reached says which", async () => {
    const refused = await startRefused(["--nats-url=nats://me:hunter2@127.0.0.1:1"]);
    assert.equal(refused.code, 1);
    assert.equal(
      refused.message,
      "cannot connect to NATS at nats://127.0.0.1:1: connection refused",
    );
  });

  it("for a NATS without JetStream says what is missing", async () => {
    await using nats = await startOtherNats([]);
    const refused = await startRefused([`--nats-url=nats://${nats.url}`]);
    assert.equal(refused.code, 1);
    assert.equal(
      refused.message,
      `NATS at nats://${nats.url} cannot keep what the router stores: JetStream is not enabled`,
    );
  });

  it("for a NATS that takes no message of a useful size says what it needs", async () => {
    await using scratch = await scratchDirectory();
    const config = join(scratch.path, "small.conf");
    await writeFile(config, `max_payload: 65536\njetstream { store_dir: ${scratch.path} }\n`);
    await using nats = await startOtherNats(["-c", config]);
    const refused = await startRefused([`--nats-url=nats://${nats.url}`]);
    assert.equal(refused.code, 1);
    assert.match(refused.message, /^NATS takes messages of 65536 bytes; it must be at least 66560/);
  });

  it("for a NATS that wants other credentials keeps those it has to itself", async () => {
    await using nats = await startOtherNats(["--user", "me", "--pass", "right"]);
    const refused = await startRefused([`--nats-url=nats://me:hunter2@${nats.url}`]);
    assert.equal(refused.code, 1);
    assert.match(refused.message, /^cannot connect to NATS at nats:\/\/127\.0\.0\.1:\d+: .+$/);
    assert.doesNotMatch(refused.message, /hunter2/);
  });
});
