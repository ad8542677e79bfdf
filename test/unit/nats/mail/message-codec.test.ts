import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MsgHdrsImpl } from "@nats-io/transport-node";
import fc from "fast-check";
import type { OutgoingMessage } from "../../../../src/domain/messages/message.ts";
import { factsOf } from "../../../../src/domain/messages/routing.ts";
import { copyHeaders, decodeCopy } from "../../../../src/nats/mail/message-codec.ts";
import { subjects } from "../../../../src/nats/subjects.ts";

const id = fc.stringMatching(/^[A-Za-z0-9_-]{1,128}$/);
const time = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

const outgoing: fc.Arbitrary<OutgoingMessage> = fc.record({
  messageId: id,
  sessionId: id,
  fromParty: id,
  isBroadcast: fc.boolean(),
  roundNumber: fc.nat(),
  // Any text at all: line breaks, lone surrogates, control characters.
  messageType: fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string({ unit: fc.constantFrom("\r", "\n", ":", "\0", "\u2028", "é", "😀") }),
  ),
  payload: fc.uint8Array({ maxLength: 100 }),
  createdAt: time,
  recipients: fc.array(fc.record({ partyId: id, position: fc.nat(99) }), {
    minLength: 1,
    maxLength: 99,
  }),
  keepUntil: time,
});

describe("a stored copy", () => {
  it("gives back any message, over the wire of the broker", () => {
    fc.assert(
      fc.property(outgoing, (message) => {
        const [recipient] = message.recipients;
        assert.ok(recipient !== undefined);
        const box = { partyId: recipient.partyId, sessionId: message.sessionId };
        const onTheWire = (copyHeaders(message) as MsgHdrsImpl).encode();
        const copy = decodeCopy(
          subjects.message(box, message.messageId),
          MsgHdrsImpl.decode(onTheWire),
          message.payload,
        );
        const { recipients: _recipients, keepUntil: _keepUntil, ...expected } = message;
        assert.deepEqual(copy.message, expected);
        assert.deepEqual(copy.facts, factsOf(message));
      }),
    );
  });

  it("keeps its headers within what the largest payload leaves of a broker's message", () => {
    const recipients = Array.from({ length: 99 }, (_, position) => ({ partyId: "p", position }));
    const longest = "\u0001".repeat(256);
    const [message] = fc.sample(outgoing, 1);
    assert.ok(message !== undefined);
    const header = copyHeaders({ ...message, messageType: longest, recipients });
    assert.ok((header as MsgHdrsImpl).encode().length < 8_192);
  });
});
