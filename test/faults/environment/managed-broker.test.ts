import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { seededRandom } from "../../support/flaky-proxy.ts";
import { until } from "../../support/until.ts";
import { clientsOf } from "../../integration/process/clients.ts";
import { natsServersOn } from "../../integration/process/processes.ts";
import { startLocalRouter } from "./local-router.ts";
import { assertHonest, isLong, openScene, sceneOf } from "./scene.ts";

/** Ends the nats-server of the directory, as soon as there is one that was not ended yet. Resolves with its process id. */
async function killNext(dataDir: string, ended: Set<number>): Promise<number> {
  let pid: number | undefined;
  await until(
    "there is a nats-server",
    async () => {
      pid = (await natsServersOn(dataDir)).map((server) => server.pid).find((id) => !ended.has(id));
      return pid !== undefined;
    },
    30_000,
  );
  if (pid === undefined) throw new Error("there is no nats-server");
  ended.add(pid);
  process.kill(pid, "SIGKILL");
  return pid;
}

async function scratchDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "mpc-router-data-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

describe("the router's own nats-server", { concurrency: true }, () => {
  it("comes back with all it had accepted after many deaths in a row", async (t) => {
    await using scratch = await scratchDirectory();
    await using router = await startLocalRouter(scratch.path);
    const scene = await openScene(clientsOf(router.url));
    await scene.routed();
    const ended = new Set<number>();
    let answered = 0;
    // Each start waits longer than the one before, up to 5 s.
    for (let deaths = 0; deaths < (isLong ? 10 : 6); deaths += 1) {
      await killNext(scratch.path, ended);
      const outcome = await scene.route();
      assertHonest("RouteMessage", outcome);
      if (outcome.code === "OK") answered += 1;
    }
    const lastDeathAt = performance.now();
    await scene.routed();
    await until("the router is ready", () => router.isReady());
    const gapMs = Math.round(performance.now() - lastDeathAt);
    t.diagnostic(
      `${answered} calls between the deaths were answered; ready ${gapMs} ms after the last`,
    );
    await scene.assertKept();
  });

  it("may be killed at any moment while the router starts", async (t) => {
    const seed = Number(process.env["FAULTS_SEED"] ?? 7);
    t.diagnostic(`seed ${seed}`);
    const random = seededRandom(seed);
    for (let starts = 0; starts < (isLong ? 30 : 2); starts += 1) {
      await using scratch = await scratchDirectory();
      const starting = startLocalRouter(scratch.path);
      const ended = new Set<number>();
      const killing = (async () => {
        for (let deaths = 0; deaths < 3; deaths += 1) {
          await killNext(scratch.path, ended);
          await sleep(random() * 300);
        }
      })();
      const [router] = await Promise.all([starting, killing]);
      await using _ = router;
      const scene = await openScene(clientsOf(router.url));
      await scene.routed();
    }
  });

  it("waits for its port while somebody else has it", async (t) => {
    await using scratch = await scratchDirectory();
    await using router = await startLocalRouter(scratch.path);
    const scene = await openScene(clientsOf(router.url));
    await scene.routed();
    const [, port] = /"port":(\d+)/.exec(router.log()) ?? [];
    await using thief = createServer((socket) => socket.destroy());
    const pid = await router.natsPid();
    process.kill(pid, "SIGKILL");
    // This process does nothing else before the port is free and taken.
    execFileSync("sleep", ["0.1"]);
    thief.listen(Number(port), "127.0.0.1");
    await once(thief, "listening");
    assertHonest("RouteMessage", await scene.route());
    await until("the log says why", () => /does not start.*already in use/is.test(router.log()));
    assert.equal(await router.isReady(), false);
    thief.close();
    const freeAt = performance.now();
    await scene.routed();
    const gapMs = Math.round(performance.now() - freeAt);
    t.diagnostic(`port free again: a message accepted after ${gapMs} ms`);
    await scene.assertKept();
  });

  it("has its complaint of a damaged store in the router's log", async () => {
    await using scratch = await scratchDirectory();
    const before = await startLocalRouter(scratch.path);
    const { session, ...scene } = await openScene(clientsOf(before.url));
    await scene.routed();
    await before[Symbol.asyncDispose]();
    await rm(join(scratch.path, "store/jetstream/$G/streams/MPC_MSG/meta.inf"));
    await using router = await startLocalRouter(scratch.path);
    await until("the log says so", () => /complains of its store/.test(router.log()));
    assert.match(router.log(), /"level":"error".*MPC_MSG' could not be recovered/);
    const pending = await sceneOf(clientsOf(router.url), session).pending();
    assert.deepEqual(pending, scene.accepted);
  });

  it("does not lose what was stored without a word of it in the log", async () => {
    await using scratch = await scratchDirectory();
    const before = await startLocalRouter(scratch.path);
    const { session, ...scene } = await openScene(clientsOf(before.url));
    for (let count = 0; count < 4; count += 1) await scene.routed();
    const marks = join(scratch.path, "store-marks.json");
    await until("it is known how far the mail has come", async () => {
      const known = JSON.parse(await readFile(marks, "utf8").catch(() => "{}")) as object;
      return "MPC_MSG" in known && known.MPC_MSG === 4;
    });
    await before[Symbol.asyncDispose]();
    const messages = join(scratch.path, "store/jetstream/$G/streams/MPC_MSG/msgs");
    const block = await readFile(join(messages, "1.blk"));
    await writeFile(join(messages, "1.blk"), block.fill(0x5a, Math.trunc(block.length / 2)));
    await rm(join(messages, "index.db"));
    await using router = await startLocalRouter(scratch.path);
    await until("the log says so", () =>
      /MPC_MSG had come to message 4, and is at \d now/.test(router.log()),
    );
    await sceneOf(clientsOf(router.url), session).routed();
  });
});
