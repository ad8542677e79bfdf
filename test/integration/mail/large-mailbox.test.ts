import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Mailbox, Message } from "../../../src/domain/messages/message.ts";
import { recordsOf, unsettledIds } from "../../../src/nats/mail/mailbox-records.ts";
import { createPendingCounter, measureMailbox } from "../../../src/nats/mail/mailbox-size.ts";
import { lastMessages } from "../../../src/nats/reading.ts";
import { streams, subjects } from "../../../src/nats/subjects.ts";
import {
  acknowledge,
  leaveCopy,
  leaveRecord,
  mailboxOf,
  messageTo,
  openMailRoom,
  type MailRoom,
} from "./mail-room.ts";

const ids = (messages: readonly Message[]): readonly string[] =>
  messages.map(({ messageId }) => messageId);

describe("a mailbox of 5,000 messages", () => {
  const count = 5_000;
  let room: MailRoom;
  let box: Mailbox;
  let sent: readonly string[];
  // No instance runs while settled copies are to be found: its sweep would delete them.
  before(async () => {
    room = await openMailRoom();
    box = mailboxOf("b");
    const messages = Array.from({ length: count }, (_, index) =>
      messageTo(box.sessionId, ["b"], { createdAt: 1_000 + index }),
    );
    for (let start = 0; start < count; start += 500) {
      const part = messages.slice(start, start + 500);
      await Promise.all(part.map((message) => leaveCopy(room.nats, message, "b")));
    }
    sent = ids(messages);
    // One in ten is settled, though its copy is still there; one in twenty was refused a few times.
    for (const [index, message] of messages.entries()) {
      if (index % 10 === 3) await leaveRecord(room.nats, message, { partyId: "b", state: "ack" });
      if (index % 20 === 4) await leaveRecord(room.nats, message, { partyId: "b", state: "nak1" });
    }
  });
  after(() => room[Symbol.asyncDispose]());

  const open = (): readonly string[] => sent.filter((_id, index) => index % 10 !== 3);

  it("is read to its end where one answer cannot hold all subjects", async () => {
    const filter = subjects.deliveriesInMailbox(box, "*");
    const copies = await lastMessages(room.nats, streams.messages, [subjects.mailbox(box)]);
    assert.deepEqual(
      copies.map(({ subject }) => subject.split(".").at(-1)),
      sent,
    );
    const records = await lastMessages(room.nats, streams.deliveries, [filter]);
    assert.equal(records.length, count / 10 + count / 20);
    const known = await recordsOf(room.nats, box, sent);
    assert.equal(known.size, count / 10 + count / 20);
  });

  it("is counted and measured without what is settled", async () => {
    assert.equal((await unsettledIds(room.nats, box)).size, open().length);
    const size = await measureMailbox(room.nats, box);
    assert.deepEqual(size, { messages: open().length, bytes: open().length * 3 });
    const counter = createPendingCounter(room.nats);
    assert.equal(await counter.count("b", [box.sessionId]), open().length);
  });

  it("is polled page by page, without being read from its beginning each time", async () => {
    await using instance = await room.open();
    const polled: string[] = [];
    let createdAfter = 0;
    const { nc } = instance.nats;
    const startBytes = nc.stats().inBytes;
    for (;;) {
      const query = { createdAfter, maxMessages: 100, maxBytes: 4_000_000 };
      const page = await instance.mail.store.pending(box, query);
      const last = page.at(-1);
      if (last === undefined) break;
      assert.ok(page.length <= 100);
      polled.push(...ids(page));
      createdAfter = last.createdAt;
    }
    assert.deepEqual(polled, open());
    const readBytes = nc.stats().inBytes - startBytes;
    // A copy is about 600 bytes, and what is recorded of it comes on top.
    assert.ok(readBytes < count * 3_000, `${readBytes} bytes`);
  });

  it("is streamed completely and in order", async () => {
    await using instance = await room.open();
    await using reader = await instance.subscribe(box);
    const wanted = open();
    for (let start = 0; start < wanted.length; start += 500) {
      await reader.atLeast(Math.min(wanted.length, start + 500));
      const part = wanted.slice(start, start + 500);
      await Promise.all(part.map((messageId) => acknowledge(instance, box, messageId)));
    }
    assert.deepEqual(ids(reader.items), wanted);
  });
});

describe("measuring a mailbox", () => {
  it("leaves no consumer behind", async () => {
    await using room = await openMailRoom();
    const box = mailboxOf("b");
    assert.deepEqual(await measureMailbox(room.nats, box), { messages: 0, bytes: 0 });
    await leaveCopy(room.nats, messageTo(box.sessionId, ["b"]), "b");
    assert.deepEqual(await measureMailbox(room.nats, box), { messages: 1, bytes: 3 });
    const { state } = await room.nats.jsm.streams.info(streams.messages);
    assert.equal(state.consumer_count, 0);
  });
});
