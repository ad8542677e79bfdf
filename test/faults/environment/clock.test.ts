import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Code } from "@connectrpc/connect";
import { startTestRouter } from "../../support/fleet.ts";
import { startNatsServer } from "../../support/nats-server.ts";
import { openSession } from "../../support/sessions.ts";
import { until } from "../../support/until.ts";
import { clientsOf } from "../../integration/process/clients.ts";
import { outcomeOf, sceneOf, type Scene } from "./scene.ts";

const hourMs = 3_600_000;
const ackWaitMs = 1_000;

interface Fixture extends AsyncDisposable {
  /** In a session that lasts for days. */
  readonly long: Scene;
  /** In one of ten minutes. */
  readonly short: Scene;
  /** The clock of the router jumps by this much; that of NATS does not. */
  jump(byMs: number): void;
}

async function setup(): Promise<Fixture> {
  await using resources = new AsyncDisposableStack();
  const nats = resources.use(await startNatsServer());
  let offsetMs = 0;
  const router = resources.use(
    await startTestRouter(nats.url, [`--ack-wait=${ackWaitMs}ms`], {
      nowMs: () => Date.now() + offsetMs,
    }),
  );
  const clients = clientsOf(`http://127.0.0.1:${router.address.port}`);
  const open = async (expiresInMs: number): Promise<Scene> =>
    sceneOf(clients, await openSession(clients, { ready: true, expiresInMs }));
  const [long, short] = await Promise.all([open(72 * hourMs), open(600_000)]);
  const held = resources.move();
  return {
    long,
    short,
    jump: (byMs) => void (offsetMs += byMs),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** A message that nobody acknowledges comes about once an ack wait, now as before. */
async function assertSteadyRedelivery(scene: Scene, jump: () => void): Promise<void> {
  await using stream = scene.subscribe();
  await scene.routed();
  await stream.atLeast(2);
  const before = stream.items.length;
  jump();
  const jumpedAt = performance.now();
  await stream.atLeast(before + 2, 15_000);
  await sleep(3 * ackWaitMs);
  const waits = (performance.now() - jumpedAt) / ackWaitMs;
  const redelivered = stream.items.length - before;
  assert.ok(redelivered <= waits + 2, `${redelivered} deliveries in ${waits} ack waits`);
}

describe("a clock that jumps", { concurrency: true }, () => {
  for (const [name, byMs] of [
    ["forward by hours", 3 * hourMs],
    ["back by hours", -3 * hourMs],
  ] as const) {
    it(`${name} leaves created_at increasing and redelivery steady`, async () => {
      await using fixture = await setup();
      const { long } = fixture;
      await assertSteadyRedelivery(long, () => fixture.jump(byMs));
      await using stream = long.subscribe();
      for (const next of [0, byMs, -byMs]) {
        fixture.jump(next);
        await long.routed();
        await long.routed();
      }
      await until("all have come", () => {
        const ids = new Set(stream.items.map(({ messageId }) => messageId));
        return long.accepted.every((id) => ids.has(id));
      });
      const times = new Map(stream.items.map((item) => [item.messageId, item.createdAt]));
      const inOrder = long.accepted.map((id) => times.get(id) ?? 0n);
      for (const [index, time] of inOrder.entries()) {
        assert.ok(index === 0 || time > (inOrder[index - 1] ?? 0n), inOrder.join(" "));
      }
      for (const id of long.accepted) await long.acknowledge(id);
      assert.deepEqual(await long.pending(), []);
    });
  }

  it("forward ends the sessions whose time it passes, and no other", async (t) => {
    await using fixture = await setup();
    const { short, long } = fixture;
    await using stream = short.subscribe();
    await short.routed();
    await stream.atLeast(1);
    fixture.jump(hourMs);
    const jumpedAt = performance.now();
    const outcome = await short.route();
    assert.equal(outcome.code, Code[Code.FailedPrecondition]);
    assert.match(outcome.message, /^SESSION_EXPIRED: /);
    assert.equal(await stream.ended, undefined);
    t.diagnostic(`its stream ends after ${Math.round(performance.now() - jumpedAt)} ms`);
    await long.routed();
  });

  it("back keeps sessions alive until the time in their record", async () => {
    await using fixture = await setup();
    const { short } = fixture;
    fixture.jump(-3 * hourMs);
    await short.routed();
    fixture.jump(3 * hourMs);
    assert.equal((await outcomeOf(() => short.routed())).code, "OK");
    fixture.jump(hourMs);
    assert.equal((await short.route()).code, Code[Code.FailedPrecondition]);
  });
});
