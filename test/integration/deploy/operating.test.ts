import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { readSealKeyFile } from "../../../src/config/seal-key-file.ts";
import { runProgram } from "../../interop/program.ts";
import { startRouter } from "../../support/router.ts";
import { openSession } from "../../support/sessions.ts";
import { clientsOf } from "../process/clients.ts";
import { deployDir, root } from "./deploy-reader.ts";

const text = readFileSync(join(root, "docs/operating.md"), "utf8");
const blocks = [...text.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block = ""]) => block.trim());
const lines = blocks.flatMap((block) => block.split("\n"));

/** What needs an engine, a cluster or the nats command, none of which is here; the files it is given have tests of their own. */
const isForElsewhere = (line: string): boolean =>
  /^(docker compose|kubectl|nats|nats-server|for stream in|sed -i 's\/"persist_mode) ?/.test(line);

describe("the operating text", () => {
  it("has commands that a shell takes, on files that are there", async () => {
    for (const block of blocks) {
      const checked = await runProgram("bash", ["-n", "-c", block], { timeoutMs: 5_000 });
      assert.equal(checked.code, 0, `${block}\n${checked.stderr}`);
    }
    const named = lines.flatMap((line) => line.match(/\bdeploy\/[\w./-]+\.(?:yaml|sh)\b/g) ?? []);
    for (const path of named) await readFile(join(root, path));
    assert.ok(named.length >= 5);
  });

  it("has no other commands than those that are tried here", () => {
    const others = lines.filter((line) => !isForElsewhere(line));
    assert.deepEqual(
      others.map((line) => line.split(" ").slice(0, 2).join(" ")),
      [
        "deploy/new-secrets.sh --trial",
        "deploy/new-secrets.sh mpc-router-secrets",
        "curl -sS",
        "tar -C",
        "mkdir -p",
        "head -c",
      ],
    );
  });

  it("makes the secrets, and adds a seal key that the router takes", async () => {
    await using place = await temporary();
    await cp(deployDir, join(place.path, "deploy"), { recursive: true });
    for (const start of ["deploy/new-secrets.sh", "head -c"]) {
      for (const line of lines.filter((one) => one.startsWith(start))) await run(line, place.path);
    }
    const keys = await readSealKeyFile(join(place.path, "deploy/compose/secrets/seal-keys"));
    assert.equal(keys.length, 2);
    await readFile(join(place.path, "deploy/compose/secrets/tls.crt"));
    await readFile(join(place.path, "mpc-router-secrets/secrets/seal-keys"));
  });

  it("asks a router whether it is ready, copies its store while it is stopped, and restores it", async () => {
    await using place = await temporary();
    const keyPath = join(place.path, "seal-keys");
    await writeFile(keyPath, `${Buffer.alloc(32, 7).toString("base64")}\n`);
    const args = [`--seal-key-file=${keyPath}`];
    await using router = await startRouter({ args });
    assert.match(
      await run(command("curl"), place.path, ["127.0.0.1:8080", router.host + ":" + router.port]),
      /^ready/,
    );
    const session = await openSession(clientsOf(router.url), { count: 2 });
    const { sessionId, parties } = session;
    const [fromParty = "", partyId = ""] = parties;
    const payload = new Uint8Array([1, 2, 3]);
    const sent = await clientsOf(router.url).router.routeMessage({ sessionId, fromParty, payload });

    await router.kill("SIGTERM");
    await run(command("tar"), place.path, ["/var/lib/mpc-router", router.dataDir]);
    await rm(router.dataDir, { recursive: true });
    await run(command("mkdir"), place.path, ["/var/lib/mpc-router", router.dataDir]);

    await router.restart();
    const clients = clientsOf(router.url);
    const { messages } = await clients.router.getPendingMessages({ sessionId, partyId });
    assert.deepEqual(
      messages.map((message) => [message.messageId, message.payload]),
      [[sent.messageId, payload]],
    );
    const status = await clients.router.getSessionStatus({ sessionId });
    assert.equal(status.participants.length, 2);
    // The token is sealed in the copy; the key is not.
    const joinToken = session.tokens[partyId] ?? "";
    const joined = await clients.router.joinSession({ sessionId, partyId, joinToken });
    assert.equal(joined.success, true);
  });
});

/** The one line of the text that starts so. */
function command(program: string): string {
  const [found, ...more] = lines.filter((line) => line.startsWith(`${program} `));
  assert.ok(found !== undefined && more.length === 0, program);
  return found;
}

/** Runs it as it stands, but with this place in place of that of the text; resolves with what it printed. */
async function run(
  line: string,
  cwd: string,
  [from, to]: readonly [string, string] = ["", ""],
): Promise<string> {
  const here = from === "" ? line : line.replaceAll(from, to);
  const ended = await runProgram("bash", ["-c", here], { cwd, timeoutMs: 20_000 });
  assert.equal(ended.code, 0, `${here}\n${ended.stderr}`);
  return ended.stdout;
}

async function temporary(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "mpc-router-operating-"));
  return { path, [Symbol.asyncDispose]: async () => rm(path, { recursive: true, force: true }) };
}
