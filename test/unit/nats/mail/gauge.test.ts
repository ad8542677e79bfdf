import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createGauge, type Load } from "../../../../src/nats/mail/gauge.ts";

const limits = { messages: 100, bytes: 10_000 };
const one: Load = { messages: 1, bytes: 10 };

/** A gauge of a load that the test sets. */
function setup(load: Load) {
  const truth = { ...load, reads: 0 };
  const gauge = createGauge(limits, () => {
    truth.reads += 1;
    if (Number.isNaN(truth.messages)) return Promise.reject(new Error("away"));
    return Promise.resolve({ messages: truth.messages, bytes: truth.bytes });
  });
  return { truth, gauge };
}

describe("gauge", () => {
  it("is unsure before it has measured, and then says what fits", async () => {
    const { gauge } = setup({ messages: 99, bytes: 0 });
    assert.equal(gauge.judge(one), "unsure");
    await gauge.measure();
    assert.equal(gauge.judge(one), "fits");
    assert.equal(gauge.judge({ messages: 2, bytes: 0 }), "full");
    assert.equal(gauge.judge({ messages: 1, bytes: 10_001 }), "full");
  });

  it("counts what is under way, and what is done, until it is measured", async () => {
    const { gauge, truth } = setup({ messages: 0, bytes: 0 });
    await gauge.measure();
    const letGo = Array.from({ length: 25 }, () => gauge.reserve(one));
    assert.equal(gauge.judge(one), "unsure", "a quarter of the room is taken");
    for (const done of letGo) done();
    assert.equal(gauge.judge(one), "unsure");
    truth.messages = 25;
    await gauge.measure();
    assert.equal(gauge.judge(one), "fits");
  });

  it("never says full because of what may be counted twice", async () => {
    const { gauge, truth } = setup({ messages: 0, bytes: 0 });
    await gauge.measure();
    Array.from({ length: 60 }, () => gauge.reserve(one));
    truth.messages = 60;
    await gauge.measure();
    assert.equal(gauge.judge(one), "unsure");
    assert.equal(gauge.fitsBySight(one), false);
  });

  it("shares a measure between callers at the same time", async () => {
    const { gauge, truth } = setup({ messages: 0, bytes: 0 });
    await Promise.all([gauge.measure(), gauge.measure(), gauge.measure()]);
    assert.equal(truth.reads, 1);
  });

  it("forgets nothing when a measure fails", async () => {
    const { gauge, truth } = setup({ messages: 95, bytes: 0 });
    await gauge.measure();
    for (let index = 0; index < 5; index += 1) gauge.reserve(one)();
    truth.messages = Number.NaN;
    await assert.rejects(gauge.measure());
    assert.equal(gauge.fitsBySight(one), false);
  });
});
