import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EventReader } from "../../../src/party/event-reader.ts";
import { isPartyError, type PartyEvent } from "../../../src/party/index.ts";
import { closedError } from "../../../src/party/party-error.ts";

function anEvent(eventId: string, type = "session_created"): PartyEvent {
  return {
    eventId,
    type,
    sessionId: "session",
    thresholdN: 3,
    thresholdT: 2,
    parties: [],
    messageHash: new Uint8Array(),
    createdAt: 0,
    expiresAt: 0,
  };
}

function setup(types?: readonly string[]) {
  const stop = new AbortController();
  let closed = 0;
  const reader = new EventReader({ types, signal: stop.signal, onClose: () => closed++ });
  return { reader, stop, closed: () => closed };
}

describe("a reader of events", () => {
  it("gives what it was given, in order, whoever is first", async () => {
    const { reader } = setup();
    reader.put(anEvent("1"));
    reader.put(anEvent("2"));
    assert.equal((await reader.next()).value?.eventId, "1");
    assert.equal((await reader.next()).value?.eventId, "2");
    const waiting = reader.next();
    reader.put(anEvent("3"));
    assert.equal((await waiting).value?.eventId, "3");
  });

  it("gives the types asked for only", async () => {
    const { reader } = setup(["message_failed"]);
    reader.put(anEvent("1"));
    reader.put(anEvent("2", "message_failed"));
    assert.equal((await reader.next()).value?.eventId, "2");
  });

  it("ends when its loop is left, also for who waits, and says so once", async () => {
    const { reader, closed } = setup();
    const waiting = reader.next();
    await reader.return();
    await reader.return();
    assert.equal((await waiting).done, true);
    assert.equal((await reader.next()).done, true);
    assert.equal(closed(), 1);
  });

  it("ends by its signal, and by what the hub fails with", async () => {
    const { reader, stop, closed } = setup();
    const waiting = reader.next();
    stop.abort();
    await assert.rejects(waiting, (error) => isPartyError(error, "ABORTED"));
    const other = setup().reader;
    other.fail(closedError("the party"));
    await assert.rejects(other.next(), (error) => isPartyError(error, "CLOSED"));
    assert.equal((await other.next()).done, true);
    assert.equal(closed(), 1);
  });

  it("that is too slow learns of it instead of filling the memory", async () => {
    const { reader } = setup();
    for (let count = 0; count <= 10_000; count++) reader.put(anEvent(`${count}`));
    await assert.rejects(reader.next(), (error) => isPartyError(error, "READER_SLOW"));
  });
});
