import assert from "node:assert/strict";
import { describe, it, mock, type TestContext } from "node:test";
import { JetStreamApiError } from "@nats-io/jetstream";
import { errors } from "@nats-io/transport-node";
import { attempt, type AttemptLimits } from "../../../src/nats/attempt.ts";

/** Tries that are answered by hand, by the order in which they were made. */
function setup(context: TestContext, isClustered: boolean) {
  mock.timers.enable({ apis: ["setTimeout"] });
  context.after(() => mock.timers.reset());
  const tries: PromiseWithResolvers<string>[] = [];
  const cuts = new Set<() => void>();
  const operation = (): Promise<string> => {
    const answer = Promise.withResolvers<string>();
    tries.push(answer);
    return answer.promise;
  };
  const onCut = (listener: () => void): (() => void) => {
    cuts.add(listener);
    return () => void cuts.delete(listener);
  };
  return {
    tries,
    cuts,
    start: (limits: AttemptLimits = {}) =>
      attempt({ ...limits, what: "asking", operation, isClustered, onCut }),
  };
}

/** Lets what has been settled take effect. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("an attempt", () => {
  it("gives the answer, and leaves nothing behind", async (context) => {
    const { tries, cuts, start } = setup(context, false);
    const answer = start();
    tries[0]?.resolve("yes");
    assert.equal(await answer, "yes");
    assert.equal(cuts.size, 0);
  });

  it("is made again after a passing fault and after a cut, and not after another one", async (context) => {
    const { tries, cuts, start } = setup(context, false);
    const answer = start();
    tries[0]?.reject(new errors.TimeoutError());
    await settled();
    mock.timers.tick(100);
    assert.equal(tries.length, 2);
    for (const listener of cuts) listener();
    assert.equal(tries.length, 3);
    tries[2]?.reject(new Error("no"));
    await assert.rejects(answer, /^Error: no/);
  });

  it("ends when its first try is refused for lack of space, if it is to, and not after a lost one", async (context) => {
    const full = new JetStreamApiError({ code: 503, err_code: 10_023, description: "full" });
    const { tries, start } = setup(context, false);
    const first = start({ endsWhenFull: true });
    tries[0]?.reject(full);
    await assert.rejects(first, /^RouterError: STORE_FULL: /);
    const again = start({ endsWhenFull: true, budgetMs: 2_000 });
    tries[1]?.reject(new errors.TimeoutError());
    await settled();
    mock.timers.tick(100);
    tries[2]?.reject(full);
    await settled();
    mock.timers.tick(1_900);
    await assert.rejects(again, /^RouterError: BROKER_UNAVAILABLE: /);
  });

  it("waits for its one try on a lone server, until the budget is spent", async (context) => {
    const { tries, start } = setup(context, false);
    const answer = start({ budgetMs: 2_000 });
    mock.timers.tick(1_999);
    assert.equal(tries.length, 1);
    mock.timers.tick(1);
    await assert.rejects(answer, /^RouterError: BROKER_UNAVAILABLE: asking/);
  });

  it("on a cluster is made again beside a silent try, and takes the first answer", async (context) => {
    const { tries, start } = setup(context, true);
    const answer = start({ repeatMs: 300 });
    mock.timers.tick(300);
    assert.equal(tries.length, 2);
    mock.timers.tick(299);
    assert.equal(tries.length, 2);
    mock.timers.tick(1);
    assert.equal(tries.length, 3);
    tries[0]?.resolve("late");
    assert.equal(await answer, "late");
    mock.timers.tick(10_000);
    assert.equal(tries.length, 3);
  });
});
