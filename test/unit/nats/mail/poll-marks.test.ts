import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Nats } from "../../../../src/nats/connection.ts";
import { createPollMarks } from "../../../../src/nats/mail/poll-marks.ts";

const box = { partyId: "b", sessionId: "s" };

function setup() {
  let heard: (() => void) | undefined;
  const onReconnect = (listener: () => void) => {
    heard = listener;
    return () => undefined;
  };
  return { marks: createPollMarks({ onReconnect } as Nats), reconnect: () => heard?.() };
}

describe("poll marks", () => {
  it("let a poll begin after what is too old for it", () => {
    const { marks } = setup();
    assert.equal(marks.firstSequence(box, 1_000), 1);
    marks.pass(box, { sequence: 7, newestAt: 900 });
    assert.equal(marks.firstSequence(box, 900), 8);
    assert.equal(marks.firstSequence(box, 899), 1);
    assert.equal(marks.firstSequence({ ...box, partyId: "c" }, 900), 1);
  });

  it("keep the newest time of all that was passed", () => {
    const { marks } = setup();
    marks.pass(box, { sequence: 7, newestAt: 900 });
    marks.pass(box, { sequence: 9, newestAt: 800 });
    assert.equal(marks.firstSequence(box, 850), 1);
    assert.equal(marks.firstSequence(box, 900), 10);
  });

  it("are forgotten when the broker may have given the places to others", () => {
    const { marks, reconnect } = setup();
    marks.pass(box, { sequence: 7, newestAt: 900 });
    reconnect();
    assert.equal(marks.firstSequence(box, 900), 1);
  });
});
