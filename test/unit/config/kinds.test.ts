import fc from "fast-check";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bytes, duration, wholeNumber } from "../../../src/config/kinds.ts";

const durationFactors = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const byteFactors = { "": 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };

const quantities = [
  {
    name: "durations",
    kind: duration("2s", "3d"),
    factors: durationFactors,
    least: 2_000,
    most: 259_200_000,
  },
  {
    name: "bytes",
    kind: bytes("3KiB", "5GiB"),
    factors: byteFactors,
    least: 3_072,
    most: 5_368_709_120,
  },
  { name: "whole numbers", kind: wholeNumber(7, 1_000), factors: { "": 1 }, least: 7, most: 1_000 },
];

for (const { name, kind, factors, least, most } of quantities) {
  const unit = fc.constantFrom(...Object.entries(factors));

  describe(name, () => {
    it("are number times unit, accepted exactly within the range", () => {
      fc.assert(
        fc.property(fc.nat({ max: 10_000_000 }), unit, (number, [suffix, factor]) => {
          const value = number * factor;
          const parsed = kind.parse(`${number}${suffix}`);
          assert.equal(parsed.ok, value >= least && value <= most);
          if (parsed.ok) assert.equal(parsed.value, value);
        }),
      );
    });

    it("accept both ends of the range and nothing beyond", () => {
      const smallest = Object.keys(factors)[0] ?? "";
      const accepts = (value: number): boolean => kind.parse(`${value}${smallest}`).ok;
      assert.deepEqual([least - 1, least, most, most + 1].map(accepts), [false, true, true, false]);
    });

    it("are never read out of any other text, nor does any text throw", () => {
      fc.assert(
        fc.property(fc.string({ unit: "binary" }), (text) => {
          const parsed = kind.parse(text);
          if (parsed.ok) assert.match(text, /^\d+[A-Za-z]*$/);
          else assert.ok(parsed.problem.startsWith("is not"));
        }),
      );
    });
  });
}
