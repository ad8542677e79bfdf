import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { startNatsServer } from "../../support/nats-server.ts";
import { startRouter } from "../../support/router.ts";
import { until } from "../../support/until.ts";
import { clientsOf, probe } from "../../integration/process/clients.ts";
import { freeze } from "../../integration/process/processes.ts";
import { assertHonest, isRefusedForNow, openScene, sceneOf } from "./scene.ts";

const frozenMs = 20_000;

describe("a process that stands still for 20 s", { concurrency: true }, () => {
  it("being the nats-server: calls are refused in time, streams go on after it", async (t) => {
    await using router = await startRouter();
    const scene = await openScene(clientsOf(router.url));
    await using stream = scene.subscribe();
    await scene.routed();
    await stream.atLeast(1);
    const pid = await router.natsPid();
    const frozenAt = performance.now();
    await freeze(pid);
    try {
      while (performance.now() - frozenAt < frozenMs) {
        const outcome = await scene.route();
        assertHonest("RouteMessage", outcome);
        assert.ok(isRefusedForNow(outcome), outcome.code);
      }
      assert.equal((await probe(router.url, "/readyz"))[0], 503);
      assert.equal(await router.natsPid(), pid);
    } finally {
      process.kill(pid, "SIGCONT");
    }
    const wokenAt = performance.now();
    const id = await scene.routed();
    const routedMs = Math.round(performance.now() - wokenAt);
    await until("the stream goes on", () => stream.items.some((item) => item.messageId === id));
    const gapMs = Math.round(performance.now() - wokenAt);
    t.diagnostic(`nats-server woken: accepted after ${routedMs} ms, delivered after ${gapMs} ms`);
    const delivered = new Set(stream.items.map((item) => item.messageId));
    assert.ok(scene.accepted.every((accepted) => delivered.has(accepted)));
  });

  it("being a router: another one serves, and what it gave out is not given again", async (t) => {
    await using nats = await startNatsServer();
    const args = [`--nats-url=${nats.url}`];
    await using frozen = await startRouter({ args });
    await using other = await startRouter({ args });
    const scene = await openScene(clientsOf(frozen.url));
    await using older = scene.subscribe();
    const first = await scene.routed();
    await older.atLeast(1);
    frozen.freeze();
    const there = sceneOf(clientsOf(other.url), scene.session);
    const frozenAt = performance.now();
    try {
      await using newer = there.subscribe();
      await newer.atLeast(1);
      t.diagnostic(`the other router serves after ${Math.round(performance.now() - frozenAt)} ms`);
      await there.acknowledge(first);
      for (let count = 0; count < 10; count += 1) await there.acknowledge(await there.routed());
      await newer.atLeast(11);
      await sleep(Math.max(0, frozenMs - (performance.now() - frozenAt)));
      frozen.thaw();
      const wokenAt = performance.now();
      const error = ConnectError.from(await older.ended);
      const endedMs = Math.round(performance.now() - wokenAt);
      t.diagnostic(`router woken: its stream ends after ${endedMs} ms`);
      assert.equal(error.code, Code.Aborted);
      assert.match(error.rawMessage, /^SUPERSEDED: /);
      const last = await scene.routed();
      await until("it arrives", () => newer.items.some((item) => item.messageId === last));
      assert.deepEqual(
        older.items.map((item) => item.messageId),
        [first],
      );
      assert.deepEqual(
        newer.items.map((item) => item.messageId),
        [first, ...there.accepted, last],
      );
      assert.deepEqual(await there.pending(), [last]);
    } finally {
      frozen.thaw();
    }
  });
});
