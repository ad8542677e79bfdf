import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BoundedSet } from "../../../src/party/bounded-set.ts";
import { isPartyError } from "../../../src/party/index.ts";
import { backOff, orAborted, pause } from "../../../src/party/pause.ts";

describe("the back-off", () => {
  it("takes 100 ms to 5 s, longer from try to try", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { signal } = new AbortController();
    for (const [attempt, least, most] of [
      [0, 100, 200],
      [3, 100, 1_600],
      [50, 100, 5_000],
    ] as const) {
      let isOver = false;
      const waiting = backOff(attempt, signal).then(() => (isOver = true));
      t.mock.timers.tick(least - 1);
      await Promise.resolve();
      assert.equal(isOver, false);
      t.mock.timers.tick(most);
      await waiting;
    }
  });
});

describe("a wait", () => {
  it("ends by the signal, before and after it began, with the signal's reason", async () => {
    const stop = new AbortController();
    const waits = Promise.allSettled([
      pause(60_000, stop.signal),
      orAborted(new Promise(() => undefined), stop.signal),
    ]);
    stop.abort(new Error("enough"));
    const late = await Promise.allSettled([
      pause(60_000, stop.signal),
      orAborted(new Promise(() => undefined), stop.signal),
    ]);
    for (const wait of [...(await waits), ...late]) {
      assert.ok(wait.status === "rejected" && isPartyError(wait.reason, "ABORTED"));
      assert.match(String(wait.reason.cause), /enough/);
    }
  });
});

describe("a bounded set", () => {
  it("knows what is new, and forgets the oldest", () => {
    const set = new BoundedSet(2);
    assert.deepEqual(
      ["a", "b", "a", "c"].map((value) => set.add(value)),
      [true, true, false, true],
    );
    assert.deepEqual(
      ["a", "b", "c"].map((value) => set.has(value)),
      [false, true, true],
    );
  });
});
