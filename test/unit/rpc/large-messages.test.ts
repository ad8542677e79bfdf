import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Message } from "../../../src/domain/messages/message.ts";
import { createLargeMessagesInTurn } from "../../../src/rpc/large-messages.ts";

function messageOf(messageId: string, bytes: number): Message {
  return {
    messageId,
    sessionId: "s",
    fromParty: "a",
    isBroadcast: false,
    roundNumber: 1,
    messageType: "",
    payload: new Uint8Array(bytes),
    createdAt: 1,
  };
}

async function* streamOf(...messages: readonly Message[]): AsyncGenerator<Message> {
  yield* messages;
}

describe("large messages of many streams", () => {
  it("are given on one in each turn of the event loop, in the order of each stream", async () => {
    const inTurn = createLargeMessagesInTurn();
    let turns = 0;
    let isCounting = true;
    const count = (): void => {
      turns += 1;
      if (isCounting) setImmediate(count);
    };
    setImmediate(count);
    const given: string[] = [];
    const turnsOf: number[] = [];
    const read = async (name: string): Promise<void> => {
      const messages = streamOf(messageOf(`${name}1`, 100_000), messageOf(`${name}2`, 100_000));
      for await (const { messageId } of inTurn(messages)) {
        given.push(messageId);
        turnsOf.push(turns);
      }
    };
    await Promise.all([read("a"), read("b"), read("c")]);
    isCounting = false;
    assert.deepEqual(given, ["a1", "b1", "c1", "a2", "b2", "c2"]);
    assert.equal(new Set(turnsOf).size, given.length, "no two in one turn");
  });

  it("hold up no small one", async () => {
    const inTurn = createLargeMessagesInTurn();
    const given: string[] = [];
    const read = async (...messages: readonly Message[]): Promise<void> => {
      for await (const { messageId } of inTurn(streamOf(...messages))) given.push(messageId);
    };
    const large = Array.from({ length: 5 }, (_, index) =>
      read(messageOf(`large${index}`, 100_000)),
    );
    await read(messageOf("small1", 10), messageOf("small2", 10));
    assert.deepEqual(given, ["small1", "small2"]);
    await Promise.all(large);
    assert.equal(given.length, 7);
  });
});
