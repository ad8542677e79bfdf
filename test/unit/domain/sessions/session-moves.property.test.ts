import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { RouterError } from "../../../../src/domain/errors.ts";
import { eventOf } from "../../../../src/domain/events/session-event.ts";
import { confirmed, submitted, taken } from "../../../../src/domain/sessions/delegate-share.ts";
import { movedFromOutside } from "../../../../src/domain/sessions/outside-transition.ts";
import { reported } from "../../../../src/domain/sessions/session-completion.ts";
import {
  cancelled,
  expired,
  joined,
  markedReady,
} from "../../../../src/domain/sessions/session-state.ts";
import { isTerminal, type SessionRecord } from "../../../../src/domain/sessions/session.ts";
import { aRecord, aRunningRecord, device, startMs } from "./session-records.ts";

type Move = (record: SessionRecord, nowMs: number) => SessionRecord;

interface Step {
  readonly name: string;
  readonly move: Move;
  /** How much time passed before it, in milliseconds. */
  readonly afterMs: number;
}

const partyId = fc.constantFrom("p0", "p1", "p2", "stranger");
const value = fc.constantFrom(1, 1, 1, 1, 1, 1, 1, 1, 2).map((byte) => new Uint8Array([byte]));
const take = fc.constantFrom("take-1", "take-2");
const outsideType = fc.constantFrom(
  "session_started",
  "session_completed",
  "session_failed",
  "session_expired",
);

const move: fc.Arbitrary<Omit<Step, "afterMs">> = fc.oneof(
  { weight: 20, arbitrary: partyId.map((id) => named(`join ${id}`, join(id))) },
  { weight: 20, arbitrary: partyId.map((id) => named(`ready ${id}`, ready(id))) },
  {
    weight: 20,
    arbitrary: fc
      .tuple(partyId, value)
      .map(([id, result]) => named(`report ${id} ${result[0]}`, report(id, result))),
  },
  {
    weight: 10,
    arbitrary: fc
      .tuple(fc.constantFrom("p0", "p2"), value)
      .map(([id, key]) => named(`submit ${id} ${key[0]}`, submit(id, key))),
  },
  { weight: 1, arbitrary: fc.constant(named("cancel", (r, now) => cancelled(r, "", now))) },
  { weight: 1, arbitrary: fc.constant(named("expire", expired)) },
  { weight: 1, arbitrary: take.map((id) => named(`take ${id}`, (r, now) => taken(r, id, now))) },
  {
    weight: 1,
    arbitrary: take.map((id) => named(`confirm ${id}`, (r, now) => confirmed(r, id, now))),
  },
  {
    weight: 1,
    arbitrary: outsideType.map((type) =>
      named(`outside ${type}`, (record, nowMs) =>
        movedFromOutside(record, { type, eventId: type, contentHash: type, at: nowMs }, nowMs),
      ),
    ),
  },
);

const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc
    .tuple(move, fc.constantFrom(0, 1, 20, 400, 400, 1_500))
    .map(([one, afterMs]) => ({ ...one, afterMs })),
  { maxLength: 80, size: "max" },
);

/** Half of them have started, so that the later moves are met often enough. */
const start: fc.Arbitrary<SessionRecord> = fc
  .record({
    type: fc.constantFrom("keygen" as const, "keygen" as const, "sign" as const),
    owesShare: fc.boolean(),
    isRunning: fc.boolean(),
  })
  .map(({ type, owesShare, isRunning }) => {
    const options = {
      type,
      roles: ["persistent", "persistent", "delegate"] as const,
      ...(owesShare && type === "keygen" ? { userPublicKey: new Uint8Array(32) } : {}),
    };
    return isRunning ? aRunningRecord(options) : aRecord(options);
  });

function named(name: string, act: Move): Omit<Step, "afterMs"> {
  return { name, move: act };
}

function join(id: string): Move {
  return (record, nowMs) => joined(record, { partyId: id, deviceInfo: device }, nowMs);
}

function ready(id: string): Move {
  return (record, nowMs) => markedReady(record, id, nowMs);
}

function report(id: string, result: Uint8Array): Move {
  return (record, nowMs) =>
    reported(record, { partyId: id, publicKey: result, signature: result }, nowMs);
}

function submit(id: string, key: Uint8Array): Move {
  return (record, nowMs) =>
    submitted(
      record,
      { partyId: id, partyIndex: 2, publicKey: key, contentHash: `hash-${key[0]}` },
      nowMs,
    );
}

/** Runs the steps, a refusal changing nothing, and gives every state on the way. */
function statesOf(first: SessionRecord, run: readonly Step[]): readonly SessionRecord[] {
  const states = [first];
  let nowMs = startMs + 10;
  for (const step of run) {
    nowMs += step.afterMs;
    const before = states.at(-1) ?? first;
    states.push(attempt(step.move, before, nowMs));
  }
  return states;
}

function attempt(act: Move, record: SessionRecord, nowMs: number): SessionRecord {
  try {
    const moved = act(record, nowMs);
    assert.equal(act(moved, nowMs), moved, "a repeat must change nothing");
    return moved;
  } catch (error) {
    if (error instanceof RouterError) return record;
    throw error;
  }
}

function check(property: (states: readonly SessionRecord[]) => void): void {
  fc.assert(
    fc.property(start, steps, (first, run) => property(statesOf(first, run))),
    { numRuns: 400 },
  );
}

function count(record: SessionRecord, type: string): number {
  return record.transitions.filter((transition) => transition.type === type).length;
}

describe("any interleaving of moves", () => {
  it("starts at most once and ends at most once", () => {
    check((states) => {
      const last = states.at(-1);
      assert.ok(last);
      assert.ok(count(last, "session_started") <= 1);
      const ends = ["session_completed", "session_failed", "session_expired"];
      const ended = ends.reduce((sum, type) => sum + count(last, type), 0);
      assert.equal(ended, isTerminal(last.status) ? 1 : 0);
      assert.equal(last.endedAt > 0, isTerminal(last.status));
    });
  });

  it("never changes what has ended, but for the share", () => {
    check((states) => {
      const end = states.find((record) => isTerminal(record.status));
      if (end === undefined) return;
      for (const later of states.slice(states.indexOf(end))) {
        assert.deepEqual({ ...later, delegateShare: end.delegateShare }, end);
      }
    });
  });

  it("only ever appends transitions, and each gives an event of its own", () => {
    check((states) => {
      for (const [position, record] of states.entries()) {
        const before = states[position - 1]?.transitions ?? [];
        assert.deepEqual(record.transitions.slice(0, before.length), before);
        assert.ok(record.publishedCount <= record.transitions.length);
      }
      const last = states.at(-1);
      assert.ok(last);
      const ids = last.transitions.map((transition) => eventOf(last, transition).eventId);
      assert.equal(new Set(ids).size, ids.length);
    });
  });

  it("keeps the roster, its indexes and its order", () => {
    check((states) => {
      for (const record of states) {
        assert.deepEqual(
          record.parties.map(({ partyId: id, partyIndex, role }) => [id, partyIndex, role]),
          [
            ["p0", 0, "persistent"],
            ["p1", 1, "persistent"],
            ["p2", 2, "delegate"],
          ],
        );
      }
    });
  });

  it("is completed by its parties only when all reported one value, and the share is there", () => {
    check((states) => {
      for (const record of states) {
        const isByParties = record.transitions.some(
          ({ type, eventId }) => type === "session_completed" && eventId === undefined,
        );
        if (!isByParties) continue;
        const result = record.type === "keygen" ? record.publicKey : record.signature;
        for (const party of record.parties) assert.deepEqual(party.reported, result);
        assert.notEqual(record.delegateShare.state, "awaited");
        const { publicKey } = record.delegateShare;
        if (publicKey !== undefined) assert.deepEqual(publicKey, record.publicKey);
      }
    });
  });

  it("shows no result after a disagreement, and no share after a failure", () => {
    check((states) => {
      const last = states.at(-1);
      assert.ok(last);
      if (last.status !== "failed" && last.status !== "expired") return;
      assert.ok(["none", "erased"].includes(last.delegateShare.state));
      if (!last.failureReason.endsWith("_mismatch")) return;
      assert.equal(last.publicKey.length + last.signature.length, 0);
    });
  });
});
