import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createPartySessions } from "../../../../src/domain/parties/party-sessions.ts";
import {
  retentionMs,
  type SessionRecord,
  type StoredSession,
} from "../../../../src/domain/sessions/session.ts";

interface Setup {
  readonly now: { value: number };
  readonly sessions: ReturnType<typeof createPartySessions>;
  /** Stored on another instance: this one hears of it when it catches up. */
  readonly store: (record: Partial<SessionRecord> & { readonly sessionId: string }) => void;
  readonly remove: (sessionId: string) => void;
  readonly live: (partyId: string) => Promise<readonly string[]>;
  readonly recent: (partyId: string) => Promise<readonly string[]>;
}

function setup(before: readonly SessionRecord[] = []): Setup {
  const now = { value: 1_000_000 };
  const cache = new Map(before.map((record) => [record.sessionId, { record, revision: 1 }]));
  const unheard: StoredSession[] = [];
  const listeners = new Set<(stored: StoredSession) => void>();
  const sessions = createPartySessions(
    {
      all: () => cache.values(),
      cached: (sessionId) => cache.get(sessionId),
      async catchUp() {
        for (const stored of unheard.splice(0)) {
          cache.set(stored.record.sessionId, stored);
          for (const listener of listeners) listener(stored);
        }
      },
      onChange(listener) {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    },
    { nowMs: () => now.value },
  );
  return {
    now,
    sessions,
    store: (record) => unheard.push({ record: aRecord(record), revision: unheard.length }),
    remove: (sessionId) => void cache.delete(sessionId),
    live: async (partyId) => idsOf(await sessions.liveSessionsOf(partyId)),
    recent: async (partyId) => idsOf(await sessions.recentSessionsOf(partyId)),
  };
}

function idsOf(records: readonly SessionRecord[]): readonly string[] {
  return records.map(({ sessionId }) => sessionId);
}

function aRecord(changes: Partial<SessionRecord>): SessionRecord {
  const parties = ["party-1", "party-2"].map((partyId, partyIndex) => ({
    partyId,
    partyIndex,
    role: "persistent" as const,
    state: "selected" as const,
    updatedAt: 0,
  }));
  const record: Partial<SessionRecord> = {
    status: "created",
    parties,
    expiresAt: 2_000_000,
    endedAt: 0,
    ...changes,
  };
  return record as SessionRecord;
}

describe("party sessions", () => {
  it("finds what was there before and what came since, on whatever instance", async () => {
    const { live, store } = setup([aRecord({ sessionId: "before" })]);
    store({ sessionId: "since" });
    assert.deepEqual(await live("party-1"), ["before", "since"]);
    assert.deepEqual(await live("party-3"), []);
  });

  it("calls a session live until its end, or its time, whether or not anybody wrote that down", async () => {
    const { live, recent, store, now } = setup();
    store({ sessionId: "running" });
    store({ sessionId: "ended", status: "failed", endedAt: now.value });
    assert.deepEqual(await live("party-2"), ["running"]);
    assert.deepEqual(await recent("party-2"), ["running", "ended"]);
    now.value = 2_000_000;
    assert.deepEqual(await live("party-2"), []);
    assert.deepEqual(await recent("party-2"), ["running", "ended"]);
    now.value = 1_000_000 + retentionMs;
    assert.deepEqual(await recent("party-2"), ["running"]);
  });

  it("follows changes of a record", async () => {
    const { live, store } = setup();
    store({ sessionId: "one" });
    assert.deepEqual(await live("party-1"), ["one"]);
    store({ sessionId: "one", status: "completed", endedAt: 1 });
    assert.deepEqual(await live("party-1"), []);
  });

  it("finds a session under its new roster when its id is used again", async () => {
    const { live, store } = setup();
    store({ sessionId: "one" });
    assert.deepEqual(await live("party-1"), ["one"]);
    const [seat] = aRecord({}).parties;
    assert.ok(seat);
    store({ sessionId: "one", parties: [{ ...seat, partyId: "party-3" }] });
    assert.deepEqual(await live("party-3"), ["one"]);
    assert.deepEqual(await live("party-1"), []);
  });

  it("forgets removed sessions, so that a session of the same id is found under its new roster", async () => {
    const { live, recent, store, remove } = setup();
    const [seat] = aRecord({}).parties;
    assert.ok(seat);
    for (let index = 0; index < 100; index += 1) {
      store({ sessionId: `old-${index}` });
      assert.equal((await live("party-1")).length, index + 1);
    }
    for (let index = 0; index < 100; index += 1) remove(`old-${index}`);
    assert.deepEqual(await recent("party-1"), []);
    for (let index = 0; index < 100; index += 1) {
      store({ sessionId: `new-${index}`, parties: [{ ...seat, partyId: "party-3" }] });
    }
    assert.equal((await live("party-3")).length, 100);
    store({ sessionId: "old-5", parties: [{ ...seat, partyId: "party-4" }] });
    assert.deepEqual(await live("party-4"), ["old-5"]);
    assert.deepEqual(await live("party-1"), []);
  });
});
