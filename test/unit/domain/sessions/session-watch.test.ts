import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { asOf } from "../../../../src/domain/sessions/session-view.ts";
import { cancelled, joined } from "../../../../src/domain/sessions/session-state.ts";
import { watchRecord } from "../../../../src/domain/sessions/session-watch.ts";
import type { SessionRecord, StoredSession } from "../../../../src/domain/sessions/session.ts";
import { aRecord, device, startMs } from "./session-records.ts";

const nowMs = startMs + 1;

interface Setup {
  readonly states: AsyncIterator<SessionRecord>;
  readonly leave: () => void;
  readonly listeners: ReadonlySet<(stored: StoredSession) => void>;
  readonly tell: (record: SessionRecord, revision: number) => void;
}

async function setup(first: SessionRecord, revision = 1): Promise<Setup> {
  const listeners = new Set<(stored: StoredSession) => void>();
  const leaving = new AbortController();
  const states = await watchRecord(first.sessionId, {
    sessions: {
      onChange(listener) {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    },
    current: async () => ({ record: first, revision }),
    asOfNow: (record) => asOf(record, nowMs),
    signal: leaving.signal,
  });
  return {
    states: states[Symbol.asyncIterator](),
    leave: () => leaving.abort(),
    listeners,
    tell: (record, at) => {
      for (const listener of listeners) listener({ record, revision: at });
    },
  };
}

const first = aRecord();
const second = joined(first, { partyId: "p0", deviceInfo: device }, nowMs);
const last = cancelled(second, "", nowMs);

describe("watching a session", () => {
  it("gives the state now, every change, and ends after the terminal state", async () => {
    const { states, tell, listeners } = await setup(first);
    assert.equal((await states.next()).value, first);
    tell(second, 2);
    tell(last, 3);
    assert.equal((await states.next()).value, second);
    assert.equal((await states.next()).value, last);
    assert.equal((await states.next()).done, true);
    assert.equal(listeners.size, 0);
  });

  it("ends at once where the session has ended", async () => {
    const { states } = await setup(last);
    assert.equal((await states.next()).value, last);
    assert.equal((await states.next()).done, true);
  });

  it("says nothing of other sessions, of published events, and of what is older than it knows", async () => {
    const { states, tell } = await setup(second, 5);
    assert.equal((await states.next()).value, second);
    tell({ ...last, sessionId: "session-2" }, 6);
    tell(first, 4);
    tell({ ...second, publishedCount: 2 }, 7);
    tell({ ...second, parties: structuredClone(second.parties) }, 8);
    tell(last, 9);
    assert.equal((await states.next()).value, last);
  });

  it("stops listening when its reader leaves, also before it read anything", async () => {
    const waiting = await setup(first);
    await waiting.states.next();
    const next = waiting.states.next();
    waiting.leave();
    assert.equal((await next).done, true);
    assert.equal(waiting.listeners.size, 0);
    const unread = await setup(first);
    unread.leave();
    assert.equal(unread.listeners.size, 0);
  });

  it("keeps the newest states for a reader that is slow", async () => {
    const { states, tell } = await setup(first);
    await states.next();
    for (let change = 0; change < 300; change += 1) {
      tell({ ...second, transitions: Array(change + 2).fill(second.transitions[0]) }, change + 2);
    }
    tell(last, 1_000);
    const seen: SessionRecord[] = [];
    for (let state = await states.next(); state.done !== true; state = await states.next()) {
      seen.push(state.value);
    }
    assert.ok(seen.length <= 100, `${seen.length} states`);
    assert.equal(seen.at(-1), last);
  });
});
