import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { watchStoreRoom, type StoreFill } from "../../../src/nats/store-room.ts";
import { createLogger } from "../../../src/telemetry/logger.ts";
import { until } from "../../support/until.ts";

async function setup(fill: StoreFill | undefined) {
  const state = { fill, looks: 0, log: "" };
  const destination = { write: (line: string) => void (state.log += line) };
  const room = watchStoreRoom({
    fill: async () => {
      state.looks += 1;
      return state.fill;
    },
    logger: createLogger({ level: "info", destination }),
  });
  const look = async (next: StoreFill | undefined): Promise<void> => {
    state.fill = next;
    const { looks } = state;
    await until("it has looked", () => state.looks > looks);
  };
  await until("it has looked", () => state.looks > 0);
  return { room, state, look, [Symbol.asyncDispose]: () => room[Symbol.asyncDispose]() };
}

describe("the room of a store", () => {
  it("is for all mail where no limit is known", async () => {
    await using fixture = await setup(undefined);
    assert.equal(fixture.room.take(Number.MAX_SAFE_INTEGER), true);
    assert.equal(fixture.room.isFull(), false);
  });

  it("is full from four fifths on, also by what was taken since it was looked at", async () => {
    await using fixture = await setup({ usedBytes: 700, maxBytes: 1_000 });
    const { room } = fixture;
    assert.equal(room.take(99), true);
    assert.equal(room.isFull(), false);
    assert.equal(room.take(1), true);
    assert.equal(room.isFull(), true);
    assert.equal(room.take(1), false);
  });

  it("refuses alone what is too large for it", async () => {
    await using fixture = await setup({ usedBytes: 700, maxBytes: 1_000 });
    const { room } = fixture;
    assert.equal(room.take(201), false);
    assert.equal(room.isFull(), false);
    assert.equal(room.take(10), true);
  });

  it("is free again only at seven tenths, and says each once", async () => {
    await using fixture = await setup({ usedBytes: 900, maxBytes: 1_000 });
    const { room, look, state } = fixture;
    assert.equal(room.isFull(), true);
    await look({ usedBytes: 710, maxBytes: 1_000 });
    assert.equal(room.isFull(), true);
    await look({ usedBytes: 700, maxBytes: 1_000 });
    assert.equal(room.take(1), true);
    assert.equal(state.log.match(/nearly full/g)?.length, 1);
    assert.equal(state.log.match(/takes mail again/g)?.length, 1);
  });

  it("is none where the limit is nothing", async () => {
    await using fixture = await setup({ usedBytes: 0, maxBytes: 0 });
    assert.equal(fixture.room.take(1), false);
  });
});
