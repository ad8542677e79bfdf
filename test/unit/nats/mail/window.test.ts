import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Pulled } from "../../../../src/nats/mail/pulled.ts";
import { createWindow } from "../../../../src/nats/mail/window.ts";

function setup(): {
  window: ReturnType<typeof createWindow>;
  answers: string[];
  pulled: (sequence: number) => Pulled;
} {
  const answers: string[] = [];
  const pulled = (sequence: number): Pulled => ({
    subject: "mpc.msg.b.s.m",
    headers: undefined,
    data: new Uint8Array(10),
    sequence,
    consumerSequence: sequence,
    deliveryCount: 1,
    storedAt: 0,
    bytes: 10,
    ack: () => void answers.push(`ack ${sequence}`),
    nak: (delayMs) => void answers.push(`nak ${sequence} ${delayMs}`),
  });
  return { window: createWindow(30_000), answers, pulled };
}

describe("window", () => {
  it("answers the consumer when a given message is settled, and frees its bytes", () => {
    const { window, answers, pulled } = setup();
    window.give("m1", pulled(1), 0);
    assert.equal(window.bytes, 10);
    window.settle("m1");
    assert.equal(window.bytes, 0);
    assert.deepEqual(answers, ["ack 1"]);
    assert.equal(window.isSettled("m1"), false);
  });

  it("remembers that a message is settled before it comes", () => {
    const { window, answers } = setup();
    window.settle("m1");
    assert.equal(window.isSettled("m1"), true);
    assert.deepEqual(answers, []);
  });

  it("holds a message that is still being processed back for the rest of its ack wait", () => {
    const { window, pulled } = setup();
    window.give("m1", pulled(1), 1_000);
    assert.equal(window.holdMs("m1", 11_000), 20_000);
    assert.equal(window.holdMs("m1", 31_000), 0);
    assert.equal(window.holdMs("m2", 11_000), 0);
  });

  it("asks for a refused message again after its delay, and lets it pass then", () => {
    const { window, answers, pulled } = setup();
    window.give("m1", pulled(1), 0);
    window.refuse({ messageId: "m1", redeliverAfterMs: 2_000 }, 500);
    assert.deepEqual(answers, ["nak 1 2000"]);
    assert.equal(window.holdMs("m1", 2_499), 1);
    assert.equal(window.holdMs("m1", 2_500), 0);
  });

  it("counts a message that goes out again once", () => {
    const { window, pulled } = setup();
    window.give("m1", pulled(1), 0);
    window.give("m1", pulled(1), 40_000);
    assert.equal(window.bytes, 10);
  });

  it("knows the highest place it has given or skipped", () => {
    const { window, pulled } = setup();
    window.give("m3", pulled(3), 0);
    window.skip(pulled(5));
    window.give("m1", pulled(1), 0);
    assert.equal(window.highestSequence, 5);
  });

  it("answers the newest delivery of a message that came again too early", () => {
    const { window, answers, pulled } = setup();
    window.give("m1", pulled(1), 0);
    window.hold("m1", pulled(2));
    window.hold("m2", pulled(3));
    assert.equal(window.count, 1);
    window.settle("m1");
    assert.deepEqual(answers, ["ack 2"]);
    assert.equal(window.bytes, 0);
  });

  it("counts what is due to go out again", () => {
    const { window, pulled } = setup();
    window.give("m1", pulled(1), 0);
    window.give("m2", pulled(2), 5_000);
    window.refuse({ messageId: "m2", redeliverAfterMs: 1_000 }, 6_000);
    assert.equal(window.dueCount(6_999), 0);
    assert.equal(window.dueCount(7_000), 1);
    assert.equal(window.dueCount(30_000), 2);
  });

  it("doubts what has come neither again nor to its end, once per ack wait, oldest first", () => {
    const { window, pulled } = setup();
    for (const number of [1, 2, 3]) window.give(`m${number}`, pulled(number), number);
    assert.equal(window.isDoubtful(31_000), false);
    assert.equal(window.isDoubtful(31_001), true);
    assert.deepEqual(window.takeDoubtful(31_002, 10), ["m1", "m2"]);
    assert.deepEqual(window.takeDoubtful(31_002, 10), []);
    assert.deepEqual(window.takeDoubtful(31_003, 10), ["m3"]);
    assert.deepEqual(window.takeDoubtful(62_002, 1), ["m1"]);
    window.settle("m2");
    assert.deepEqual(window.takeDoubtful(100_000, 10), ["m3", "m1"]);
  });

  it("doubts everything once when notes may have been lost", () => {
    const { window, pulled } = setup();
    for (const number of [1, 2, 3]) window.give(`m${number}`, pulled(number), 0);
    window.doubtAll();
    assert.deepEqual(window.takeDoubtful(1, 2), ["m1", "m2"]);
    assert.deepEqual(window.takeDoubtful(1, 2), ["m3"]);
    assert.equal(window.isDoubtful(1), false);
  });
});
