import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Mailbox, OutgoingMessage } from "../../../src/domain/messages/message.ts";
import { createPendingCounter } from "../../../src/nats/mail/mailbox-size.ts";
import { leaveCopy, leaveRecord, mailboxOf, messageTo, openMailRoom } from "./mail-room.ts";
import type { MailRoom } from "./mail-room.ts";

describe("what a party has not acknowledged", () => {
  let room: MailRoom;
  before(async () => {
    room = await openMailRoom();
  });
  after(() => room[Symbol.asyncDispose]());

  /** As many copies, some of them settled or refused, among many records of others that are gone. */
  async function fill(box: Mailbox, count: number): Promise<number> {
    const messages = Array.from({ length: count }, () => messageTo(box.sessionId, [box.partyId]));
    const record = (message: OutgoingMessage, state: "ack" | "fail" | "nak1"): Promise<void> =>
      leaveRecord(room.nats, message, { partyId: box.partyId, state });
    for (const [index, message] of messages.entries()) {
      await leaveCopy(room.nats, message, box.partyId);
      if (index % 4 === 0) await record(message, "ack");
      if (index % 4 === 1) await record(message, "fail");
      if (index % 4 === 2) await record(message, "nak1");
      await record(messageTo(box.sessionId, [box.partyId]), "ack");
    }
    return count / 2;
  }

  it("is counted over its sessions, of a few messages and of many, and over no other", async () => {
    const [few, many, other] = [mailboxOf("b"), mailboxOf("b"), mailboxOf("b")];
    const open = (await fill(few, 8)) + (await fill(many, 80));
    await fill(other, 4);
    const counter = createPendingCounter(room.nats);
    assert.equal(await counter.count("b", [few.sessionId, many.sessionId]), open);
    assert.equal(await counter.count("b", []), 0);
    assert.equal(await counter.count("c", [few.sessionId, many.sessionId]), 0);
  });
});
