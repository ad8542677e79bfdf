import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createCreationClock } from "../../../../src/domain/messages/creation-clock.ts";
import type { MailboxRoom } from "../../../../src/domain/messages/message-ports.ts";
import type { Mailbox } from "../../../../src/domain/messages/message.ts";
import { createRouting } from "../../../../src/domain/messages/routing.ts";
import { createKeyring } from "../../../../src/domain/secrets/keyring.ts";
import { aRunningRecord, refusal, startMs } from "../sessions/session-records.ts";
import { createFakeStore, sessionsOf, type FakeStore } from "./message-store.ts";

interface Setup {
  readonly store: FakeStore;
  /** Rooms that are held. */
  readonly held: Set<readonly Mailbox[]>;
  full: Mailbox | undefined;
  readonly route: (idempotencyKey?: string, payload?: Uint8Array) => Promise<string>;
}

function setup(): Setup {
  const store = createFakeStore();
  const held = new Set<readonly Mailbox[]>();
  let count = 0;
  const test: Setup = {
    store,
    held,
    full: undefined,
    route: (idempotencyKey, payload = new Uint8Array([1])) =>
      routing({ kind: "open" }, { ...call, idempotencyKey, payload }),
  };
  const call = {
    sessionId: "session-1",
    fromParty: "p0",
    toParties: [],
    roundNumber: 1,
    messageType: "t",
  };
  const routing = createRouting({
    sessions: sessionsOf(aRunningRecord()),
    store,
    meter: {
      async reserve(boxes): Promise<MailboxRoom> {
        if (test.full === undefined) held.add(boxes);
        return { full: test.full, [Symbol.dispose]: () => void held.delete(boxes) };
      },
    },
    keyring: createKeyring([new Uint8Array(32)]),
    clock: { nowMs: () => startMs + 1_000 },
    creationClock: createCreationClock(),
    randomness: { id: () => `random-${(count += 1)}` },
    maxPayloadBytes: 1_000,
  });
  return test;
}

describe("routing", () => {
  it("never goes back behind the time of a message that it completed", async () => {
    const { store, route } = setup();
    await route("key");
    const [first] = store.stored;
    assert.ok(first !== undefined);
    const claim = store.claims.get(first.messageId);
    assert.ok(claim !== undefined);
    // Another instance, whose clock is ahead, made the claim.
    const createdAt = startMs + 50_000;
    store.claims.set(first.messageId, { ...claim, facts: { ...claim.facts, createdAt } });
    await route("key");
    await route();
    const times = store.stored.map((message) => message.createdAt);
    assert.deepEqual(times.slice(1), [createdAt, createdAt + 1]);
  });

  it("holds room for a message until the outcome is known, whatever that is", async () => {
    const { store, held, route } = setup();
    const heldMeanwhile: number[] = [];
    store.append = () => {
      heldMeanwhile.push(held.size);
      return Promise.reject(new Error("away"));
    };
    await assert.rejects(route(), /away/);
    assert.deepEqual(heldMeanwhile, [1]);
    assert.equal(held.size, 0);
  });

  it("stores nothing in a full mailbox, but completes what was taken before", async () => {
    const test = setup();
    const { store, route } = test;
    const messageId = await route("key");
    test.full = { partyId: "p1", sessionId: "session-1" };
    await assert.rejects(route(), refusal("MAILBOX_FULL"));
    await assert.rejects(route("other"), refusal("MAILBOX_FULL"));
    assert.equal(store.stored.length, 1);
    assert.equal(store.claims.size, 1);
    assert.equal(await route("key"), messageId);
    await assert.rejects(route("key", new Uint8Array([2])), refusal("IDEMPOTENCY_KEY_REUSED"));
    assert.equal(store.stored.length, 2);
  });
});
