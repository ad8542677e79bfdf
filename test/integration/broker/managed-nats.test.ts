import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { before, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { BrokerStartError, type BrokerStartReason } from "../../../src/broker/broker-errors.ts";
import { startManagedNats, type ManagedNats } from "../../../src/broker/managed-nats.ts";
import { findNatsServer } from "../../../src/broker/nats-binary.ts";
import { listProcesses } from "../../../src/broker/process-list.ts";
import { silentLogger } from "../../../src/telemetry/logger.ts";
import { until } from "../../support/until.ts";

let binaryPath: string;
before(async () => {
  ({ path: binaryPath } = await findNatsServer({ env: process.env, onProgress: () => undefined }));
});

async function setup() {
  const root = await realpath(await mkdtemp(join(tmpdir(), "mpc-router-managed-")));
  const dataDir = join(root, "data");
  return {
    dataDir,
    start: (): Promise<ManagedNats> =>
      startManagedNats({ dataDir, binaryPath, logger: silentLogger }),
    async [Symbol.asyncDispose]() {
      await rm(root, { recursive: true, force: true });
    },
  };
}

type Address = Pick<ManagedNats, "url" | "user" | "pass">;

async function client({ url, user, pass }: Address): Promise<NatsConnection> {
  return connect({ servers: url, user, pass, reconnectTimeWait: 20, maxReconnectAttempts: -1 });
}

async function store(address: Address, text: string): Promise<void> {
  const nc = await client(address);
  const jsm = await jetstreamManager(nc);
  await jsm.streams.add({ name: "S", subjects: ["s"] });
  await jetstream(nc).publish("s", text);
  await nc.close();
}

async function stored(nc: NatsConnection): Promise<string | undefined> {
  const jsm = await jetstreamManager(nc);
  const message = await jsm.streams.getMessage("S", { last_by_subj: "s" });
  return message?.string();
}

/** One that has ended and was not reaped by its parent does not run. */
async function isRunning(pid: number): Promise<boolean> {
  const processes = await listProcesses();
  return processes.some((process) => process.pid === pid);
}

async function ended(pid: number): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (await isRunning(pid)) {
    assert.ok(performance.now() < deadline, `process ${pid} does not end`);
    await pause(10);
  }
}

interface OtherRouter extends Address {
  readonly process: ChildProcess;
  /** Of its nats-server. */
  readonly pid: number;
}

/** As a literal for a program. */
function source(file: string): string {
  return JSON.stringify(import.meta.resolve(`../../../src/${file}`));
}

/** Another process that runs a nats-server on the directory. */
async function startOtherRouter(dataDir: string): Promise<OtherRouter> {
  const program = `
    const { startManagedNats } = await import(${source("broker/managed-nats.ts")});
    const { silentLogger } = await import(${source("telemetry/logger.ts")});
    const [dataDir, binaryPath] = process.argv.slice(1);
    const nats = await startManagedNats({ dataDir, binaryPath, logger: silentLogger });
    const { url, user, pass } = nats;
    console.log(JSON.stringify({ url, user, pass, pid: nats.pid() }));`;
  const args = ["--input-type=module", "-e", program, dataDir, binaryPath];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(createInterface(child.stdout), "line")) as [string];
  return { process: child, ...(JSON.parse(line) as Address & { pid: number }) };
}

async function endHard(child: ChildProcess): Promise<void> {
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

function isStartError(reason: BrokerStartReason, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof BrokerStartError, String(error));
    assert.equal(error.reason, reason);
    assert.match(error.message, message);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  };
}

describe("the managed nats-server", () => {
  it("serves JetStream on loopback, to who has its credentials, with 9 MB payloads", async () => {
    await using fixture = await setup();
    await using nats = await fixture.start();
    await store(nats, "hello");
    const nc = await client(nats);
    assert.equal(nc.info?.max_payload, 9 * 1_048_576);
    assert.equal(nc.info?.host, "127.0.0.1");
    await nc.close();
    await assert.rejects(client({ ...nats, pass: "wrong" }), /Authorization/i);
    await assert.rejects(connect({ servers: nats.url }), /Authorization/i);
  });

  it("syncs every write, and keeps its secrets from other users of the machine", async () => {
    await using fixture = await setup();
    await using nats = await fixture.start();
    const configPath = join(fixture.dataDir, "nats-server.conf");
    const config = await readFile(configPath, "utf8");
    assert.match(config, /^ {2}sync_interval: always$/m);
    assert.ok(config.includes(nats.pass));
    assert.equal((await stat(configPath)).mode & 0o777, 0o600);
    assert.equal((await stat(fixture.dataDir)).mode & 0o777, 0o700);
  });

  it("answers how it is under a path that only the router knows", async () => {
    await using fixture = await setup();
    await using nats = await fixture.start();
    const [file = ""] = await readdir(join(fixture.dataDir, "ports"));
    const ports = await readFile(join(fixture.dataDir, "ports", file), "utf8");
    const [monitor = ""] = /http:\/\/127\.0\.0\.1:\d+/.exec(ports) ?? [];
    for (const path of ["/", "/healthz", "/varz", "/jsz", "/connz"]) {
      assert.equal((await fetch(`${monitor}${path}`)).status, 404, path);
    }
    assert.equal(nats.storeState.trouble(), "");
  });

  it("is started again when it is killed before it is ready", async () => {
    await using fixture = await setup();
    const { dataDir } = fixture;
    const program = join(dirname(dataDir), "nats-server");
    // The first two die of a signal, as of a machine without memory; the third is a real one.
    const script = `#!/bin/sh\ncount="${dataDir}/count"\necho x >>"$count"\n[ "$(wc -l <"$count")" -gt 2 ] || kill -KILL $$\nexec ${binaryPath} "$@"\n`;
    await writeFile(program, script, { mode: 0o755 });
    await using nats = await startManagedNats({
      dataDir,
      binaryPath: program,
      logger: silentLogger,
    });
    await store(nats, "kept");
    assert.equal((await readFile(join(dataDir, "count"), "utf8")).split("\n").length, 4);
  });

  it("is started again with its data, at the same place, when it is killed", async () => {
    await using fixture = await setup();
    await using nats = await fixture.start();
    await store(nats, "kept");
    const nc = await client(nats);
    for (let deaths = 0; deaths < 3; deaths += 1) {
      const pid = nats.pid();
      const reconnected = (async () => {
        for await (const { type } of nc.status()) if (type === "reconnect") return;
      })();
      process.kill(pid, "SIGKILL");
      await reconnected;
      // The client may be back before the one who started the server knows that it is ready.
      await until("the next one is known", () => nats.pid() !== pid);
      assert.equal(await stored(nc), "kept");
    }
    await nc.close();
  });

  it("leaves no process behind when it is disposed, also twice, and gives the directory free", async () => {
    await using fixture = await setup();
    const nats = await fixture.start();
    const pid = nats.pid();
    await Promise.all([nats[Symbol.asyncDispose](), nats[Symbol.asyncDispose]()]);
    assert.equal(await isRunning(pid), false);
    await using again = await fixture.start();
    assert.notEqual(again.pass, nats.pass);
  });

  it("is disposed while it is being started again", async () => {
    await using fixture = await setup();
    const nats = await fixture.start();
    process.kill(nats.pid(), "SIGKILL");
    await ended(nats.pid());
    await nats[Symbol.asyncDispose]();
    assert.equal(await isRunning(nats.pid()), false);
    await using _ = await fixture.start();
  });

  it("takes over from a router that was killed, and from its nats-server", async () => {
    await using fixture = await setup();
    const killed = await startOtherRouter(fixture.dataDir);
    await store(killed, "survives");
    await endHard(killed.process);
    assert.equal(await isRunning(killed.pid), true);
    await using nats = await fixture.start();
    assert.equal(await isRunning(killed.pid), false);
    const nc = await client(nats);
    assert.equal(await stored(nc), "survives");
    await nc.close();
  });

  it("takes over when both were killed", async () => {
    await using fixture = await setup();
    const killed = await startOtherRouter(fixture.dataDir);
    await store(killed, "survives");
    await endHard(killed.process);
    process.kill(killed.pid, "SIGKILL");
    await using nats = await fixture.start();
    const nc = await client(nats);
    assert.equal(await stored(nc), "survives");
    await nc.close();
  });

  it("refuses a directory that another live router uses, and does it no harm", async () => {
    await using fixture = await setup();
    const other = await startOtherRouter(fixture.dataDir);
    const expected = new RegExp(`in use by another router \\(process ${other.process.pid},`);
    await assert.rejects(fixture.start(), isStartError("DATA_DIR_IN_USE", expected));
    await store(other, "unharmed");
    await endHard(other.process);
    await using _ = await fixture.start();
  });

  it("refuses a second one in the same process", async () => {
    await using fixture = await setup();
    await using nats = await fixture.start();
    await assert.rejects(fixture.start(), isStartError("DATA_DIR_IN_USE", /another router/));
    await store(nats, "unharmed");
    await assert.rejects(fixture.start(), isStartError("DATA_DIR_IN_USE", /another router/));
  });

  it("refuses a directory that cannot be one", async () => {
    await using fixture = await setup();
    await writeFile(fixture.dataDir, "a file");
    await assert.rejects(fixture.start(), isStartError("DATA_DIR_UNUSABLE", /\(EEXIST\)/));
  });

  it("reports a directory that cannot be written", async () => {
    await using fixture = await setup();
    await mkdir(join(fixture.dataDir, "nats-server.conf"), { recursive: true });
    await assert.rejects(fixture.start(), isStartError("DATA_DIR_UNUSABLE", /\(EISDIR\)/));
  });

  it("reports a program that does not start, and then holds nothing", async () => {
    await using fixture = await setup();
    const { dataDir } = fixture;
    for (const [wrong, said] of [
      ["/nowhere/nats-server", /nats-server did not start: \/nowhere\/nats-server is no program/],
      ["/bin/false", /nats-server did not start: .*nats-server\.log/],
    ] as const) {
      const starting = startManagedNats({ dataDir, binaryPath: wrong, logger: silentLogger });
      await assert.rejects(starting, isStartError("NATS_SERVER_FAILED", said));
    }
    await using _ = await fixture.start();
  });

  it("gives a start up when it is told to", async () => {
    await using fixture = await setup();
    const { dataDir } = fixture;
    const signal = AbortSignal.abort();
    const starting = startManagedNats({ dataDir, binaryPath, logger: silentLogger, signal });
    await assert.rejects(starting, { name: "AbortError" });
    await using _ = await fixture.start();
  });
});
