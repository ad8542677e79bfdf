import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { describe, it } from "node:test";
import { createKeyedQueue } from "../../../../src/domain/sessions/keyed-queue.ts";
import { refusal } from "./session-records.ts";

describe("a keyed queue", () => {
  it("runs the tasks of one key one after the other, in order", async () => {
    const queue = createKeyedQueue({ maxWaiting: 100, maxWaitMs: 10_000 });
    const order: string[] = [];
    const task = (name: string) => async (): Promise<void> => {
      order.push(`${name} begins`);
      await turn();
      order.push(`${name} ends`);
    };
    await Promise.all([queue.run("s", task("a")), queue.run("s", task("b"))]);
    assert.deepEqual(order, ["a begins", "a ends", "b begins", "b ends"]);
  });

  it("runs different keys side by side", async () => {
    const queue = createKeyedQueue({ maxWaiting: 1, maxWaitMs: 10_000 });
    const gate = Promise.withResolvers<string>();
    const first = queue.run("s", () => gate.promise);
    assert.equal(await queue.run("t", async () => "t"), "t");
    gate.resolve("s");
    assert.equal(await first, "s");
  });

  it("goes on after a task that failed", async () => {
    const queue = createKeyedQueue({ maxWaiting: 100, maxWaitMs: 10_000 });
    const failing = queue.run("s", async () => {
      throw new Error("planned");
    });
    const next = queue.run("s", async () => "next");
    await assert.rejects(failing, /planned/);
    assert.equal(await next, "next");
  });

  it("refuses when too many wait, and takes new ones when they are done", async () => {
    const queue = createKeyedQueue({ maxWaiting: 2, maxWaitMs: 10_000 });
    const gate = Promise.withResolvers<void>();
    const waiting = [queue.run("s", () => gate.promise), queue.run("s", () => gate.promise)];
    await assert.rejects(
      queue.run("s", async () => "x"),
      refusal("BROKER_UNAVAILABLE"),
    );
    gate.resolve();
    await Promise.all(waiting);
    assert.equal(await queue.run("s", async () => "x"), "x");
  });

  it("does not begin what has waited too long", async () => {
    const queue = createKeyedQueue({ maxWaiting: 100, maxWaitMs: -1 });
    let begun = false;
    const late = queue.run("s", async () => {
      begun = true;
    });
    await assert.rejects(late, refusal("BROKER_UNAVAILABLE"));
    assert.equal(begun, false);
  });
});
