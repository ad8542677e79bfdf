import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { SessionEvent } from "../../../gen/mpc/router/v1/message_router_pb.js";
import { retentionMs } from "../../../src/domain/sessions/session.ts";
import { subjects } from "../../../src/nats/subjects.ts";
import { openClockedRouters, type ClockedRouter } from "../../support/clocked-routers.ts";
import { openSession, read } from "../../support/sessions.ts";
import { countStored } from "../../support/store.ts";
import { until } from "../../support/until.ts";

/** Before and after the events that led to an end go, in milliseconds. */
const [soonMs, laterMs] = [100_000, 200_000];
/** Some looks at ended sessions. */
const looksMs = 5_000;

async function eventsFor(
  { router }: ClockedRouter,
  partyId: string,
  { after, count }: { readonly after?: string; readonly count: number },
): Promise<readonly string[]> {
  const headers = after === undefined ? {} : { "Last-Event-ID": after };
  await using reader = read<SessionEvent>((signal) =>
    router.subscribeSessionEvents({ partyId }, { signal, headers }),
  );
  await reader.atLeast(count);
  return reader.items.map(({ eventType, sessionId }) => `${sessionId} ${eventType}`);
}

describe("the events of a session that has ended", () => {
  it("are all there for some minutes, and then only its end, until that is forgotten too", async () => {
    await using env = await openClockedRouters();
    await using one = await env.start();
    const { sessionId, parties } = await openSession(one, { ready: true });
    const live = await openSession(one, { ready: true });
    const [a = ""] = parties;
    await using watching = read<SessionEvent>((signal) =>
      one.router.subscribeSessionEvents({ partyId: a }, { signal }),
    );
    // Created, three joined, three ready, started.
    await watching.atLeast(8);
    await one.coordinator.cancelSession({ sessionId });
    await watching.atLeast(9);
    const [first, second] = watching.items.map(({ eventId }) => eventId);
    const kept = (id: string): Promise<number> =>
      countStored(env.natsUrl, { stream: "MPC_EVT", filter: subjects.eventsOfSession(id) });
    assert.equal(await kept(sessionId), 9);

    env.clock.aheadMs = soonMs;
    await sleep(looksMs);
    assert.equal(await kept(sessionId), 9);
    assert.equal((await eventsFor(one, a, { after: first ?? "", count: 8 })).length, 8);

    env.clock.aheadMs = laterMs;
    await until("what led to the end is gone", async () => (await kept(sessionId)) === 1, looksMs);
    assert.equal(await kept(live.sessionId), 8);
    await using other = await env.start();
    for (const router of [one, other]) {
      const seen = await eventsFor(router, a, { after: second ?? "", count: 1 });
      assert.equal(seen.at(-1), `${sessionId} session_failed`);
    }
    // A router that has only now come has not heard of what is gone.
    assert.deepEqual(await eventsFor(other, a, { after: second ?? "", count: 1 }), [
      `${sessionId} session_failed`,
    ]);
    const [b = ""] = live.parties;
    assert.equal((await eventsFor(other, b, { count: 8 })).length, 8);

    env.clock.aheadMs = retentionMs + laterMs;
    await using _ = await env.start();
    await until("nothing is left", async () => (await kept(sessionId)) === 0);
  });
});
