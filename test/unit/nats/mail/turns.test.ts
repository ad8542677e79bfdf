import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createTurns } from "../../../../src/nats/mail/turns.ts";

describe("turns", () => {
  it("let so many tasks run at once, and the others in their order", async () => {
    const turns = createTurns(2);
    const begun: number[] = [];
    const ends = [0, 1, 2, 3].map(() => Promise.withResolvers<undefined>());
    const tasks = ends.map(({ promise }, index) =>
      turns.take(async () => {
        begun.push(index);
        return promise;
      }),
    );
    assert.deepEqual(begun, [0, 1]);
    ends[1]?.resolve(undefined);
    await tasks[1];
    assert.deepEqual(begun, [0, 1, 2]);
    ends[0]?.reject(new Error("failed"));
    await assert.rejects(tasks[0] ?? Promise.resolve(), /^Error: failed/);
    assert.deepEqual(begun, [0, 1, 2, 3]);
    for (const { resolve } of ends) resolve(undefined);
    await Promise.all([tasks[2], tasks[3]]);
  });
});
