import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { deleteMessage } from "../../../src/nats/deleting.ts";
import { startNatsServer } from "../../support/nats-server.ts";
import { connect } from "./mail-room.ts";

/** A stream that lets nothing be deleted, as one without the space to write it down. */
async function setup() {
  await using resources = new AsyncDisposableStack();
  const server = resources.use(await startNatsServer());
  const nats = resources.use(await connect(server));
  const stream = "UNDELETABLE";
  await nats.jsm.streams.add({ name: stream, subjects: ["kept"], deny_delete: true });
  const { seq: sequence } = await nats.js.publish("kept", "something");
  const held = resources.move();
  return {
    erase: (which: number) =>
      deleteMessage(nats, { what: "erasing", stream, sequence: which, erases: true }),
    sequence,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

describe("the deletion of a stored message", () => {
  it("does not pass for done where the message is still there", async () => {
    await using fixture = await setup();
    const erasing = fixture.erase(fixture.sequence);
    await assert.rejects(erasing, { name: "RouterError", reason: "BROKER_UNAVAILABLE" });
  });

  it("is done where the message is gone", async () => {
    await using fixture = await setup();
    await fixture.erase(fixture.sequence + 1);
  });
});
