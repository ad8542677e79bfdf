import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { StoredMsg } from "@nats-io/jetstream";
import fc from "fast-check";
import {
  isDeliveredSinceRefusal,
  isSettled,
} from "../../../../src/domain/messages/delivery-rules.ts";
import type { MessageFacts } from "../../../../src/domain/messages/message.ts";
import { encodeRecord } from "../../../../src/nats/json.ts";
import { foldRecords } from "../../../../src/nats/mail/delivery-codec.ts";
import { subjects, type DeliveryState } from "../../../../src/nats/subjects.ts";

const sessionId = "s";
const messageId = "m";
const facts: MessageFacts = { fromParty: "a", toPositions: [1, 2], createdAt: 5, keepUntil: 9 };

interface Written {
  readonly partyId: string;
  readonly state: DeliveryState;
  readonly at: number;
  readonly count: number;
  readonly error: string;
}

const written: fc.Arbitrary<Written> = fc.record({
  partyId: fc.constantFrom("b", "c"),
  state: fc.oneof(
    fc.constantFrom<DeliveryState>("dlv", "ack", "fail"),
    fc.integer({ min: 1, max: 999 }).map((number): DeliveryState => `nak${number}`),
  ),
  at: fc.nat(),
  count: fc.integer({ min: 1, max: 50 }),
  error: fc.string(),
});

/** What the stream holds after these writes: the newest of each subject, in order. */
function storedAfter(writes: readonly Written[]): readonly StoredMsg[] {
  const newest = new Map<string, StoredMsg>();
  for (const [index, { partyId, state, at, count, error }] of writes.entries()) {
    const subject = subjects.delivery({ partyId, sessionId }, messageId, state);
    const delivered = { facts, firstAt: at, lastAt: at, count, copySequence: index };
    const body = state === "dlv" ? delivered : { facts, at, error };
    newest.delete(subject);
    newest.set(subject, { subject, seq: index + 1, data: encodeRecord(body) } as StoredMsg);
  }
  return [...newest.values()];
}

function parties(found: readonly StoredMsg[]) {
  return [...(foldRecords(found)?.byParty ?? [])].toSorted(([a], [b]) => a.localeCompare(b));
}

describe("folded records", () => {
  it("are undefined where there are none", () => {
    assert.equal(foldRecords([]), undefined);
  });

  it("say of each party what was written of it, and of no other", () => {
    fc.assert(
      fc.property(fc.array(written, { minLength: 1, maxLength: 30 }), (writes) => {
        const folded = foldRecords(storedAfter(writes));
        assert.deepEqual(folded?.facts, facts);
        for (const partyId of ["b", "c"]) {
          const own = writes.map((write, index) => ({ ...write, sequence: index + 1 }));
          const mine = own.filter((write) => write.partyId === partyId);
          const records = folded.byParty.get(partyId);
          if (mine.length === 0) {
            assert.equal(records, undefined);
            continue;
          }
          const last = (state: string) => mine.findLast((write) => write.state === state);
          const refusals = mine.filter(({ state }) => state.startsWith("nak"));
          assert.equal(records?.acknowledgedAt, last("ack")?.at);
          assert.equal(records?.failed?.at, last("fail")?.at);
          assert.equal(records?.failed?.error, last("fail")?.error);
          assert.equal(records?.delivered?.count, last("dlv")?.count);
          assert.equal(
            records?.refusalCount,
            Math.max(0, ...refusals.map(({ state }) => Number(state.slice(3)))),
          );
          assert.equal(
            isDeliveredSinceRefusal(records),
            (last("dlv")?.sequence ?? 0) > (refusals.at(-1)?.sequence ?? 0),
          );
          assert.equal(isSettled(records), (last("ack") ?? last("fail")) !== undefined);
        }
      }),
    );
  });

  it("are the same whatever the order they are read in", () => {
    fc.assert(
      fc.property(
        fc.array(written, { minLength: 1, maxLength: 20 }),
        fc.infiniteStream(fc.nat()),
        (writes, order) => {
          const stored = storedAfter(writes);
          const shuffled = stored
            .map((entry) => ({ entry, place: order.next().value ?? 0 }))
            .toSorted((a, b) => a.place - b.place)
            .map(({ entry }) => entry);
          assert.deepEqual(parties(shuffled), parties(stored));
        },
      ),
    );
  });

  it("of a claim alone tell of no party", () => {
    const subject = subjects.idempotency(sessionId, messageId);
    const data = encodeRecord({ facts, contentHash: "x" });
    const folded = foldRecords([{ subject, seq: 1, data } as StoredMsg]);
    assert.deepEqual(folded, { facts, byParty: new Map() });
  });
});
