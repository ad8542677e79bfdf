import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  decideRefusal,
  deliveryRow,
  isSettled,
  redeliveryDelayMs,
} from "../../../../src/domain/messages/delivery-rules.ts";
import { noRecords, type DeliveryRecords } from "../../../../src/domain/messages/message.ts";

const rules = { maxRefusals: 5, ackWaitMs: 30_000 };

function delivered(count: number, sequence: number): DeliveryRecords {
  return {
    ...noRecords,
    delivered: { firstAt: 1_000, lastAt: 2_000, count, copySequence: 7, sequence },
  };
}

describe("delivery row", () => {
  it("is pending without records", () => {
    assert.deepEqual(deliveryRow("b", noRecords, false), {
      partyId: "b",
      status: "pending",
      deliveredAt: 0,
      acknowledgedAt: 0,
      retryCount: 0,
    });
  });

  it("counts the deliveries after the first as retries", () => {
    const row = deliveryRow("b", delivered(3, 1), false);
    assert.equal(row.status, "delivered");
    assert.equal(row.deliveredAt, 1_000);
    assert.equal(row.retryCount, 2);
  });

  it("is acknowledged although it failed before", () => {
    const records = { ...delivered(1, 1), failed: { at: 5, error: "x" }, acknowledgedAt: 3_000 };
    assert.equal(deliveryRow("b", records, true).status, "acknowledged");
  });

  it("takes the acknowledgement for the delivery where no earlier one is known", () => {
    assert.equal(deliveryRow("b", { ...noRecords, acknowledgedAt: 900 }, false).deliveredAt, 900);
    assert.equal(
      deliveryRow("b", { ...delivered(1, 1), acknowledgedAt: 900 }, false).deliveredAt,
      900,
    );
  });

  it("is failed once the session has ended with it open", () => {
    assert.equal(deliveryRow("b", delivered(1, 1), true).status, "failed");
    assert.equal(deliveryRow("b", noRecords, true).status, "failed");
  });

  it("never shows a delivery later than its acknowledgement", () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (firstAt, acknowledgedAt) => {
        fc.pre(acknowledgedAt > 0);
        const one = { firstAt, lastAt: firstAt, count: 1, copySequence: 1, sequence: 1 };
        const row = deliveryRow("b", { ...noRecords, delivered: one, acknowledgedAt }, false);
        assert.ok(row.deliveredAt > 0 && row.deliveredAt <= row.acknowledgedAt);
      }),
    );
  });
});

describe("refusal", () => {
  it("asks for another delivery after one second at first", () => {
    assert.deepEqual(decideRefusal(delivered(1, 10), "busy", rules), {
      kind: "redeliver",
      number: 1,
      afterMs: 1_000,
    });
  });

  it("counts once per delivery", () => {
    const refused = { ...delivered(1, 10), refusalCount: 1, refusalSequence: 11 };
    assert.deepEqual(decideRefusal(refused, "busy", rules), { kind: "ignore" });
    const redelivered = { ...delivered(2, 12), refusalCount: 1, refusalSequence: 11 };
    assert.equal(decideRefusal(redelivered, "busy", rules).kind, "redeliver");
  });

  it("does not count for a message that was never given out", () => {
    assert.deepEqual(decideRefusal(noRecords, "busy", rules), { kind: "ignore" });
  });

  it("fails the message at the last allowed one", () => {
    const refused = { ...delivered(5, 20), refusalCount: 4, refusalSequence: 19 };
    assert.deepEqual(decideRefusal(refused, "busy", rules), { kind: "fail" });
  });

  it("fails the message at once where it is permanent", () => {
    assert.deepEqual(decideRefusal(delivered(1, 10), "permanent: cannot decrypt", rules), {
      kind: "fail",
    });
  });

  it("changes nothing after an acknowledgement or a failure", () => {
    const acknowledged = { ...delivered(1, 10), acknowledgedAt: 5 };
    const failed = { ...delivered(1, 10), failed: { at: 5, error: "x" } };
    assert.equal(decideRefusal(acknowledged, "permanent:", rules).kind, "ignore");
    assert.equal(decideRefusal(failed, "permanent:", rules).kind, "ignore");
    assert.ok(isSettled(acknowledged) && isSettled(failed));
  });

  it("waits twice as long each time and never longer than the ack wait", () => {
    assert.deepEqual(
      [1, 2, 3, 4, 5, 6, 40].map((number) => redeliveryDelayMs(number, 30_000)),
      [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000],
    );
    assert.equal(redeliveryDelayMs(1, 500), 500);
  });
});
