import assert from "node:assert/strict";
import { describe, it, mock } from "node:test";
import type { Nats } from "../../../src/nats/connection.ts";
import { batch } from "../../../src/nats/reading.ts";

interface Query {
  readonly callback: (done: { readonly err?: Error } | null, message: unknown) => void;
}

/** A connection on which a read begins to be answered. */
function setup() {
  const stopped: string[] = [];
  let query: Query | undefined;
  const nats = {
    attempt: <T>(_what: string, operation: () => Promise<T>) => operation(),
    jsm: {
      direct: {
        getBatch: (_stream: string, asked: Query) => {
          query = asked;
          return Promise.resolve({ stop: () => void stopped.push("stopped") });
        },
      },
    },
  } as unknown as Nats;
  const call = { filter: "a.*", fromSequence: 1, maxMessages: 10 };
  return { stopped, read: () => batch(nats, "S", call), query: () => query };
}

describe("a read", () => {
  it("gives what came until its end", async () => {
    const { read, query, stopped } = setup();
    const reading = read();
    query()?.callback(null, { seq: 1 });
    query()?.callback(null, { seq: 2 });
    query()?.callback({}, {});
    assert.deepEqual(await reading, [{ seq: 1 }, { seq: 2 }]);
    assert.deepEqual(stopped, []);
  });

  it("whose answer has begun and never ends is given up, and lets go of its subscription", async () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    try {
      const { read, query, stopped } = setup();
      const reading = read();
      const outcome = assert.rejects(reading, /timeout/i);
      query()?.callback(null, { seq: 1 });
      await Promise.resolve();
      await Promise.resolve();
      mock.timers.tick(10_000);
      await outcome;
      assert.deepEqual(stopped, ["stopped"]);
    } finally {
      mock.timers.reset();
    }
  });
});
