import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Acknowledger } from "../../../src/party/acknowledger.ts";

/** Acknowledgements whose calls the test answers. */
function setup() {
  const calls = new Map<string, PromiseWithResolvers<void>>();
  let underWay = 0;
  let most = 0;
  const acknowledger = new Acknowledger(async ({ messageId }) => {
    const call = Promise.withResolvers<void>();
    calls.set(messageId, call);
    most = Math.max(most, ++underWay);
    await call.promise.finally(() => underWay--);
  });
  const start = (messageId: string): Promise<void> =>
    acknowledger.start({ messageId, refusal: "" });
  const answerAll = async (): Promise<void> => {
    while (calls.size > 0) {
      for (const call of calls.values()) call.resolve();
      calls.clear();
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { acknowledger, start, calls, answerAll, most: () => most };
}

describe("acknowledgements", () => {
  it("are told to who waits for one, for better or worse", async () => {
    const { start, calls, acknowledger } = setup();
    const [good, bad] = [start("good"), start("bad")];
    calls.get("good")?.resolve();
    calls.get("bad")?.reject(new Error("refused"));
    await good;
    await assert.rejects(bad, /refused/);
    await acknowledger.drained();
  });

  it("are made by so many calls at a time, and all of them in the end", async () => {
    const { acknowledger, start, answerAll, most } = setup();
    const all = Array.from({ length: 200 }, (_, index) => start(`${index}`));
    let hasRoom = false;
    const room = acknowledger.room().then(() => (hasRoom = true));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(hasRoom, false);
    await answerAll();
    await Promise.all([...all, room, acknowledger.drained()]);
    assert.equal(most(), 16);
  });
});
