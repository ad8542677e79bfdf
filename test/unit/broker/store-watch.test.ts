import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { StoreHealth } from "../../../src/broker/nats-health.ts";
import { watchStore } from "../../../src/broker/store-watch.ts";
import { silentLogger } from "../../../src/telemetry/logger.ts";

const well: StoreHealth = { complaint: "", isCurable: false, positions: {} };
const full: StoreHealth = {
  complaint: "JetStream stream '$G > S' write error: write /data/1.blk: no space left on device",
  isCurable: true,
  positions: {},
};

/** A watch that looks when it is told to. */
function setup() {
  const state = { health: well as StoreHealth | undefined, isWritable: true, restarts: 0 };
  let resume = Promise.withResolvers<void>();
  const watch = watchStore({
    marks: { note: async () => [] },
    health: async () => state.health,
    isWritable: async () => state.isWritable,
    restart: async () => void (state.restarts += 1),
    logger: silentLogger,
    pause: async (_ms, signal) => {
      signal.addEventListener("abort", () => resume.resolve());
      await resume.promise;
      resume = Promise.withResolvers();
    },
  });
  let changes = 0;
  watch.onChange(() => (changes += 1));
  return {
    watch,
    state,
    changes: () => changes,
    async look(health: StoreHealth | undefined) {
      await turn();
      state.health = health;
      resume.resolve();
      await turn();
    },
    [Symbol.asyncDispose]: () => watch[Symbol.asyncDispose](),
  };
}

describe("the watch over a store", () => {
  it("says nothing of one that is well", async () => {
    await using fixture = setup();
    await fixture.look(well);
    assert.deepEqual([fixture.watch.trouble(), fixture.state.restarts], ["", 0]);
  });

  it("leaves the server to its readers while the disk is full, and starts it anew after that", async () => {
    await using fixture = setup();
    fixture.state.isWritable = false;
    await fixture.look(full);
    assert.equal(fixture.watch.trouble(), "the disk of the message store is full");
    assert.equal(fixture.state.restarts, 0);
    fixture.state.isWritable = true;
    await fixture.look(full);
    assert.equal(fixture.state.restarts, 1);
    await fixture.look(well);
    assert.equal(fixture.watch.trouble(), "");
  });

  it("tells of a change once, though the figures in a complaint grow", async () => {
    await using fixture = setup();
    for (const used of [10, 20, 30]) {
      const complaint = `the store has ${used} bytes, its limit is 5`;
      await fixture.look({ complaint, isCurable: false, positions: {} });
    }
    assert.equal(fixture.changes(), 1);
    assert.equal(fixture.watch.trouble(), "the message store has reached its limit");
  });

  it("starts nothing anew that a start does not cure, and names no file", async () => {
    await using fixture = setup();
    const complaint = "JetStream stream '$G > S' could not be recovered";
    await fixture.look({ complaint, isCurable: false, positions: {} });
    assert.equal(fixture.state.restarts, 0);
    assert.equal(fixture.watch.trouble(), "the message store is damaged or cannot be written");
  });

  it("keeps what it knows while the server does not answer", async () => {
    await using fixture = setup();
    fixture.state.isWritable = false;
    await fixture.look(full);
    await fixture.look(undefined);
    assert.equal(fixture.watch.trouble(), "the disk of the message store is full");
  });
});
