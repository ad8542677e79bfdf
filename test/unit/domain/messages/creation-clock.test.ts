import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createCreationClock } from "../../../../src/domain/messages/creation-clock.ts";

describe("creation clock", () => {
  it("strictly increases within a session whatever the clock does", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1_000_000)), (times) => {
        const clock = createCreationClock();
        const given = times.map((nowMs) => clock.next("s", nowMs));
        for (const [index, value] of given.entries()) {
          assert.ok(value >= (times[index] ?? 0));
          if (index > 0) assert.ok(value > (given[index - 1] ?? 0));
        }
      }),
    );
  });

  it("goes on from what another instance wrote", () => {
    const clock = createCreationClock();
    clock.saw("s", 5_000);
    assert.equal(clock.next("s", 1_000), 5_001);
    assert.equal(clock.next("other", 1_000), 1_000);
  });

  it("ignores what is older than its own", () => {
    const clock = createCreationClock();
    clock.next("s", 9_000);
    clock.saw("s", 5_000);
    assert.equal(clock.next("s", 1_000), 9_001);
  });
});
