import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { Pacer } from "../../../web-demo/src/control/pacer.ts";
import type { Want } from "../../../web-demo/src/model/state.ts";

function setup(context: TestContext) {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const released: number[] = [];
  const pacer = new Pacer((want) => released.push(want.ticket));
  const add = (...tickets: readonly number[]): void => {
    for (const ticket of tickets) pacer.add(wantOf(ticket), 3);
  };
  return { pacer, released, add, timers: context.mock.timers };
}

describe("the pace of messages", () => {
  it("for watching is one after the other", (context) => {
    const { released, add, timers } = setup(context);
    add(1, 2, 3);
    assert.deepEqual(released, [1]);
    timers.tick(40);
    assert.deepEqual(released, [1, 2]);
    timers.tick(40);
    assert.deepEqual(released, [1, 2, 3]);
  });

  it("at full speed is none", (context) => {
    const { pacer, released, add } = setup(context);
    pacer.setPace("full");
    add(1, 2, 3);
    assert.deepEqual(released, [1, 2, 3]);
    assert.equal(pacer.readingMs, 0);
  });

  it("in steps waits for the user, and goes on by itself when the user is tired of it", (context) => {
    const { pacer, released, add, timers } = setup(context);
    pacer.setPace("step");
    add(1, 2, 3);
    timers.tick(60_000);
    assert.deepEqual(released, []);
    pacer.next();
    assert.deepEqual(released, [1]);
    pacer.setPace("full");
    assert.deepEqual(released, [1, 2, 3]);
  });

  it("forgets messages of a session that is over", (context) => {
    const { pacer, released, add } = setup(context);
    pacer.setPace("step");
    add(1, 2);
    pacer.drop((want) => want.ticket === 1);
    pacer.next();
    pacer.next();
    assert.deepEqual(released, [2]);
  });
});

function wantOf(ticket: number): Want {
  return { partyId: "alice", ticket, sessionId: "session", roundId: "keygen-1", to: [] };
}
