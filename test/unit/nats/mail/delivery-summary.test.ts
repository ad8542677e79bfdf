import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { StoredMsg } from "@nats-io/jetstream";
import type { DeliveryRecords, MessageFacts } from "../../../../src/domain/messages/message.ts";
import { encodeRecord } from "../../../../src/nats/json.ts";
import { foldSession, packSummary, textOf } from "../../../../src/nats/mail/delivery-summary.ts";
import { subjects, type DeliveryState } from "../../../../src/nats/subjects.ts";

const b = { partyId: "b", sessionId: "s" };
const facts: MessageFacts = { fromParty: "a", toPositions: [1, 2], createdAt: 5, keepUntil: 9 };
const delivered = { firstAt: 10, lastAt: 20, count: 3, copySequence: 7, sequence: 100 };

function summaryOf(records: DeliveryRecords): StoredMsg {
  const messages = new Map([["m", { facts, byParty: new Map([["b", records]]) }]]);
  const subject = subjects.deliverySummary("s");
  return { subject, seq: 200, data: packSummary(textOf(messages)) } as StoredMsg;
}

function record(state: DeliveryState, body: object, seq = 300): StoredMsg {
  const subject = subjects.delivery(b, "m", state);
  return { subject, seq, data: encodeRecord({ ...body, facts }) } as StoredMsg;
}

/** What is known of b's delivery. */
function known(...stored: readonly StoredMsg[]): DeliveryRecords | undefined {
  return foldSession(stored).get("m")?.byParty.get("b");
}

describe("a summary and records that are newer", () => {
  it("is what it was made of where there are none", () => {
    const all: readonly DeliveryRecords[] = [
      { refusalCount: 0, refusalSequence: 0 },
      { refusalCount: 2, refusalSequence: 80, delivered },
      { refusalCount: 0, refusalSequence: 0, acknowledgedAt: 30 },
      { refusalCount: 4, refusalSequence: 8, delivered, failed: { at: 40, error: "no ♥\n" } },
    ];
    for (const records of all) assert.deepEqual(known(summaryOf(records)), records);
  });

  it("keeps the first end of a kind, and takes one of another", () => {
    const ended = summaryOf({
      refusalCount: 0,
      refusalSequence: 0,
      failed: { at: 40, error: "x" },
    });
    const again = known(ended, record("fail", { at: 50, error: "y" }), record("ack", { at: 60 }));
    assert.deepEqual(again?.failed, { at: 40, error: "x" });
    assert.equal(again?.acknowledgedAt, 60);
    const acknowledged = summaryOf({ refusalCount: 0, refusalSequence: 0, acknowledgedAt: 30 });
    assert.equal(known(acknowledged, record("ack", { at: 60 }))?.acknowledgedAt, 30);
  });

  it("never counts less than before", () => {
    const summary = summaryOf({ refusalCount: 2, refusalSequence: 80, delivered });
    const anew = { firstAt: 55, lastAt: 60, count: 1, copySequence: 9 };
    const both = known(record("dlv", anew), record("nak1", { at: 1, error: "" }, 301), summary);
    assert.deepEqual(both?.delivered, {
      firstAt: 10,
      lastAt: 60,
      count: 3,
      copySequence: 9,
      sequence: 300,
    });
    assert.equal(both?.refusalCount, 2);
    assert.equal(both?.refusalSequence, 301);
  });
});
