import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { isRouterError } from "../../../src/domain/errors.ts";
import { createExpiries, type Expiries } from "../../../src/rpc/expiries.ts";

function setup(test: TestContext): {
  readonly expiries: Expiries;
  readonly clock: { now: number };
} {
  test.mock.timers.enable({ apis: ["setInterval"] });
  const clock = { now: 0, nowMs: (): number => clock.now };
  return { expiries: createExpiries(clock), clock };
}

describe("the end of a credential", () => {
  it("is told within a second, and not before", (test) => {
    const { expiries, clock } = setup(test);
    const call = new AbortController();
    const soon = expiries.signalAt(5_000, call.signal);
    const later = expiries.signalAt(2 ** 40, call.signal);
    clock.now = 4_999;
    test.mock.timers.tick(1_000);
    assert.equal(soon.aborted, false);
    clock.now = 5_000;
    test.mock.timers.tick(1_000);
    assert.ok(isRouterError(soon.reason, "UNAUTHENTICATED"));
    assert.equal(later.aborted, false);
  });

  it("is not told to a call that has ended", (test) => {
    const { expiries, clock } = setup(test);
    const call = new AbortController();
    const signal = expiries.signalAt(5_000, call.signal);
    call.abort();
    clock.now = 6_000;
    test.mock.timers.tick(1_000);
    assert.equal(signal.aborted, false);
  });

  it("is told to nobody once it is disposed", (test) => {
    const { expiries, clock } = setup(test);
    const signal = expiries.signalAt(1, new AbortController().signal);
    expiries[Symbol.dispose]();
    clock.now = 2;
    test.mock.timers.tick(5_000);
    assert.equal(signal.aborted, false);
  });
});
