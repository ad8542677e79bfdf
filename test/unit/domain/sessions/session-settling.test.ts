import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RouterError } from "../../../../src/domain/errors.ts";
import type { SessionEvent } from "../../../../src/domain/events/session-event.ts";
import { reported } from "../../../../src/domain/sessions/session-completion.ts";
import {
  createSessionSettling,
  type SessionSettling,
} from "../../../../src/domain/sessions/session-settling.ts";
import type { SessionStore } from "../../../../src/domain/sessions/session-ports.ts";
import type { SessionRecord } from "../../../../src/domain/sessions/session.ts";
import { aRecord, aRunningRecord, refusal, startMs, typesOf } from "./session-records.ts";

interface Setup {
  readonly settling: SessionSettling;
  /** What was done, in order. */
  readonly done: string[];
  readonly kept: SessionRecord[];
  readonly failNext: () => void;
}

function setup(): Setup {
  const done: string[] = [];
  const kept: SessionRecord[] = [];
  const stored = new Map<string, SessionEvent>();
  let fails = false;
  const settling = createSessionSettling({
    sessions: {
      async keep(record: SessionRecord) {
        done.push("keep");
        kept.push(record);
      },
    } as unknown as SessionStore,
    events: {
      async append(event, contentHash) {
        if (fails) {
          fails = false;
          throw new RouterError("BROKER_UNAVAILABLE", "planned");
        }
        done.push(event.eventType);
        const known = stored.get(event.eventId);
        if (known !== undefined) return { event: known, sequence: 1, contentHash };
        stored.set(event.eventId, event);
        return undefined;
      },
    },
    log: { info: () => undefined, warn: () => undefined },
  });
  return { settling, done, kept, failNext: () => void (fails = true) };
}

function completed(): SessionRecord {
  return aRecord().parties.reduce(
    (record, { partyId }) =>
      reported(
        record,
        { partyId, publicKey: new Uint8Array([2]), signature: new Uint8Array() },
        startMs + 3,
      ),
    aRunningRecord(),
  );
}

describe("settling a session", () => {
  it("stores the events of all transitions in order, each once", async () => {
    const { settling, done } = setup();
    const record = aRunningRecord();
    await settling.settle(record);
    assert.deepEqual(done, typesOf(record));
    await settling.settle(record);
    assert.equal(done.length, record.transitions.length);
    assert.equal(settling.publishedCount(record), record.transitions.length);
  });

  it("goes on where it was cut, and where the record says another instance was", async () => {
    const { settling, done, failNext } = setup();
    const record = { ...aRunningRecord(), publishedCount: 2 };
    failNext();
    await assert.rejects(settling.settle(record), refusal("BROKER_UNAVAILABLE"));
    await settling.settle(record);
    assert.deepEqual(done, typesOf(record).slice(2));
  });

  it("keeps a completed keygen session before its last events, without what it does not need", async () => {
    const { settling, done, kept } = setup();
    await settling.settle(completed());
    assert.equal(done[0], "keep");
    assert.equal(done.at(-1), "session_completed");
    assert.equal(kept[0]?.parties[0]?.deviceInfo, undefined);
    assert.equal(kept[0]?.parties[0]?.reported, undefined);
    assert.deepEqual(kept[0]?.publicKey, new Uint8Array([2]));
    assert.deepEqual(kept[0]?.transitions, []);
  });

  it("keeps nothing of a session that makes no key", async () => {
    const { settling, kept } = setup();
    await settling.settle(aRunningRecord());
    await settling.settle({ ...completed(), type: "sign" });
    assert.equal(kept.length, 0);
  });

  it("does not mistake a later session of the same id for the one it knew", async () => {
    const { settling, done } = setup();
    await settling.settle(aRunningRecord());
    const later = { ...aRecord(), createdAt: startMs + 99_999_999 };
    assert.equal(settling.publishedCount(later), 0);
    await settling.settle(later);
    assert.equal(done.filter((type) => type === "session_created").length, 2);
  });
});
