import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createReceiving } from "../../../../src/domain/messages/receiving.ts";
import type { Message } from "../../../../src/domain/messages/message.ts";
import { until } from "../../../support/until.ts";
import { aRunningRecord, startMs } from "../sessions/session-records.ts";
import { createFakeStore, sessionsOf, type FakeStore } from "./message-store.ts";

const message: Message = {
  messageId: "m",
  sessionId: "session-1",
  fromParty: "p0",
  isBroadcast: false,
  roundNumber: 1,
  messageType: "t",
  payload: new Uint8Array(),
  createdAt: startMs,
};

interface Setup {
  readonly store: FakeStore;
  readonly leaving: AbortController;
  readonly ending: AbortController;
  readonly poll: (waitSeconds: number) => Promise<readonly Message[]>;
}

function setup(): Setup {
  const store = createFakeStore();
  const leaving = new AbortController();
  const ending = new AbortController();
  const receiving = createReceiving({
    sessions: sessionsOf(aRunningRecord()),
    store,
    mailboxes: { open: () => assert.fail("a poll opens no stream") },
    endings: {
      watch: () => ({ ended: ending.signal, stop: () => undefined }),
      [Symbol.dispose]: () => undefined,
    },
    clock: { nowMs: () => startMs + 1_000 },
  });
  const request = { sessionId: "session-1", partyId: "p1", afterTimestamp: 0 };
  const poll = (waitSeconds: number) =>
    receiving.pending({ kind: "open" }, { ...request, waitSeconds }, leaving.signal);
  return { store, leaving, ending, poll };
}

describe("a poll that waits", () => {
  it("gives what arrives, however late after its arrival it can be read", async () => {
    const { store, poll } = setup();
    const waiting = poll(30);
    await until("it listens", () => store.listeners.size === 1);
    store.arrive();
    const heardAt = performance.now();
    await until("its first looks were in vain", () => performance.now() - heardAt > 900);
    store.pendingMessages = [message];
    assert.deepEqual(await waiting, [message]);
    assert.ok(performance.now() - heardAt < 2_500);
    assert.equal(store.listeners.size, 0);
  });

  it("looks at once when something arrives while it pauses between two looks", async () => {
    const { store, poll } = setup();
    const waiting = poll(30);
    await until("it pauses for a second", () => store.reads >= 6);
    store.pendingMessages = [message];
    const arrivedAt = performance.now();
    store.arrive();
    assert.deepEqual(await waiting, [message]);
    assert.ok(performance.now() - arrivedAt < 100);
  });

  it("looks a last time when its time is over", async () => {
    const { store, poll } = setup();
    const waiting = poll(1);
    await until("it pauses", () => store.reads >= 6);
    store.pendingMessages = [message];
    assert.deepEqual(await waiting, [message]);
  });

  it("takes nothing once its caller has left or its session has ended", async () => {
    for (const which of ["leaving", "ending"] as const) {
      const test = setup();
      const waiting = test.poll(30);
      await until("it pauses", () => test.store.reads >= 6);
      test.store.pendingMessages = [message];
      const { reads } = test.store;
      test[which].abort();
      assert.deepEqual(await waiting, []);
      assert.equal(test.store.reads, reads);
      assert.equal(test.store.listeners.size, 0);
    }
  });

  it("lets go of its ear when a look fails", async () => {
    const { store, poll } = setup();
    const waiting = poll(30);
    await until("it listens", () => store.listeners.size === 1);
    store.pending = () => Promise.reject(new Error("away"));
    store.arrive();
    await assert.rejects(waiting, /away/);
    assert.equal(store.listeners.size, 0);
  });
});
