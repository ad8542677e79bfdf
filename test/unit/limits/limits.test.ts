import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Quota } from "../../../src/limits/quota.ts";
import { RateLimiter } from "../../../src/limits/rate-limiter.ts";
import { TokenBucket } from "../../../src/limits/token-bucket.ts";

describe("a token bucket", () => {
  it("lets a burst through, then goes at its rate", () => {
    const bucket = new TokenBucket({ perSecond: 10, burst: 3 });
    assert.deepEqual(
      [0, 0, 0, 0, 60, 100, 100, 199, 200].map((nowMs) => bucket.take(nowMs)),
      [0, 0, 0, 100, 40, 0, 100, 1, 0],
    );
  });

  it("never holds more than its burst", () => {
    const bucket = new TokenBucket({ perSecond: 10, burst: 2 });
    assert.deepEqual(
      [60_000, 60_000, 60_000].map((nowMs) => bucket.take(nowMs)),
      [0, 0, 100],
    );
  });

  it("gains nothing by a clock that goes back", () => {
    const bucket = new TokenBucket({ perSecond: 1, burst: 1 });
    assert.deepEqual(
      [1_000, 0, 1_000, 1_999].map((nowMs) => bucket.take(nowMs)),
      [0, 2_000, 1_000, 1],
    );
  });

  it("lets through no more than burst and rate allow, and what waits as long as it was told", () => {
    const gaps = fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 200 });
    const rates = fc.record({
      perSecond: fc.integer({ min: 1, max: 1_000 }),
      burst: fc.integer({ min: 1, max: 50 }),
    });
    fc.assert(
      fc.property(rates, gaps, (rate, steps) => {
        const bucket = new TokenBucket(rate);
        let [nowMs, passed] = [0, 0];
        for (const step of steps) {
          nowMs += step;
          const waitMs = bucket.take(nowMs);
          if (waitMs > 0) {
            nowMs += waitMs;
            assert.equal(bucket.take(nowMs), 0);
          }
          passed += 1;
          assert(passed <= rate.burst + (nowMs * rate.perSecond) / 1_000 + 1e-3);
        }
      }),
    );
  });
});

describe("a rate limiter", () => {
  it("holds each caller to the rate, and no other for it", () => {
    let nowMs = 0;
    const limiter = new RateLimiter({ rate: { perSecond: 2, burst: 1 }, nowMs: () => nowMs });
    assert.deepEqual(
      ["a", "a", "b", "__proto__", "a"].map((caller) => limiter.take(caller)),
      [0, 500, 0, 0, 500],
    );
    nowMs = 500;
    assert.equal(limiter.take("a"), 0);
  });

  it("forgets who has called least recently when there are too many", () => {
    const limiter = new RateLimiter({
      rate: { perSecond: 1, burst: 1 },
      nowMs: () => 0,
      maxCallers: 2,
    });
    const calls = ["a", "b", "a", "c", "a", "b"];
    assert.deepEqual(
      calls.map((caller) => limiter.take(caller)),
      [0, 0, 1_000, 0, 1_000, 0],
    );
  });
});

describe("a quota", () => {
  it("refuses what is too many at a time, until something is closed", () => {
    const quota = new Quota(2);
    const [first, second] = [quota.open("a"), quota.open("a")];
    assert(first !== undefined && second !== undefined);
    assert.equal(quota.open("a"), undefined);
    assert(quota.open("b") !== undefined);
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    assert(quota.open("a") !== undefined);
    assert.equal(quota.open("a"), undefined);
  });
});
