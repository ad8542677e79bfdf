import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Mailbox, Message } from "../../../src/domain/messages/message.ts";
import type { Nats } from "../../../src/nats/connection.ts";
import { streams } from "../../../src/nats/subjects.ts";
import { until } from "../../support/until.ts";
import {
  acknowledge,
  copiesIn,
  leaveCopy,
  mailboxOf,
  messageTo,
  openMailRoom,
  withoutNotes,
  type MailInstance,
  type MailRoom,
} from "./mail-room.ts";

const windowMessages = 1_024;
const windowBytes = 67_108_864;
const mebibyte = 1_048_576;

const ids = (messages: readonly Message[]): readonly string[] =>
  messages.map(({ messageId }) => messageId);

/** Fills a mailbox; resolves with the ids, in order. */
async function fill(
  nats: Nats,
  box: Mailbox,
  { count, bytes = 16 }: { readonly count: number; readonly bytes?: number },
): Promise<readonly string[]> {
  const payload = new Uint8Array(bytes);
  const messages = Array.from({ length: count }, () =>
    messageTo(box.sessionId, [box.partyId], { payload }),
  );
  const atOnce = bytes < 10_000 ? 500 : 8;
  for (let start = 0; start < count; start += atOnce) {
    const part = messages.slice(start, start + atOnce);
    await Promise.all(part.map((message) => leaveCopy(nats, message, box.partyId)));
  }
  return messages.map(({ messageId }) => messageId);
}

/** Resolves once a stream has had every chance to give more, and has not. */
async function hasPaused(items: readonly unknown[]): Promise<void> {
  let last = -1;
  let since = 0;
  await until("the stream gives no more", () => {
    if (items.length !== last) since = performance.now();
    last = items.length;
    return performance.now() - since > 700;
  });
}

describe("what a stream may have unacknowledged", () => {
  let room: MailRoom;
  let one: MailInstance;
  let other: MailInstance;
  before(async () => {
    room = await openMailRoom();
    one = await room.open();
    other = await room.open();
  });
  after(() => room[Symbol.asyncDispose]());

  it("is 1,024 messages; as they are acknowledged, on any instance, it goes on in order", async () => {
    const box = mailboxOf("b");
    const sent = await fill(room.nats, box, { count: 1_500 });
    await using reader = await one.subscribe(box);
    await reader.atLeast(windowMessages);
    await hasPaused(reader.items);
    assert.equal(reader.items.length, windowMessages);
    for (const [index, messageId] of sent.slice(0, 200).entries()) {
      await acknowledge(index % 2 === 0 ? one : other, box, messageId);
    }
    await reader.atLeast(windowMessages + 200);
    await hasPaused(reader.items);
    assert.equal(reader.items.length, windowMessages + 200);
    for (const messageId of sent.slice(200)) await acknowledge(other, box, messageId);
    assert.deepEqual(ids(await reader.atLeast(sent.length)), sent);
  });

  it("grows again when a poll's messages are acknowledged", async () => {
    const box = mailboxOf("b");
    const sent = await fill(room.nats, box, { count: windowMessages + 50 });
    await using reader = await one.subscribe(box);
    await reader.atLeast(windowMessages);
    const query = { createdAfter: 0, maxMessages: 50, maxBytes: 4_000_000 };
    const polled = await other.mail.store.pending(box, query);
    assert.deepEqual(ids(polled), sent.slice(0, 50));
    for (const { messageId } of polled) await acknowledge(other, box, messageId);
    assert.deepEqual(ids(await reader.atLeast(sent.length)), sent);
  });

  it("is 64 MiB; acknowledgements resume it", async () => {
    const box = mailboxOf("b");
    const sent = await fill(room.nats, box, { count: 80, bytes: mebibyte });
    await using reader = await one.subscribe(box);
    await reader.atLeast(windowBytes / mebibyte - 1);
    await hasPaused(reader.items);
    const given = reader.items.length;
    // What was asked for before the limit was met still comes.
    assert.ok(given * mebibyte <= windowBytes + 5 * mebibyte, `${given} MiB`);
    for (const messageId of sent.slice(0, 30)) await acknowledge(other, box, messageId);
    assert.deepEqual(ids(await reader.atLeast(sent.length)), sent);
  });
});

describe("a full window", () => {
  it("gets its messages delivered again after the ack wait", async () => {
    await using room = await openMailRoom();
    await using one = await room.open({ ackWaitMs: 1_000 });
    const box = mailboxOf("b");
    const sent = await fill(room.nats, box, { count: 70, bytes: mebibyte });
    await using reader = await one.subscribe(box);
    await reader.atLeast(windowBytes / mebibyte - 1);
    await until(
      "the first came again",
      () => {
        return reader.items.filter(({ messageId }) => messageId === sent[0]).length > 1;
      },
      6_000,
    );
  });

  it("does not stay full because the notes of acknowledgements were lost", async () => {
    await using room = await openMailRoom();
    await using one = await room.open({ ackWaitMs: 1_000 });
    await using other = await room.open({ over: withoutNotes });
    const box = mailboxOf("b");
    const sent = await fill(room.nats, box, { count: 80, bytes: mebibyte });
    await using reader = await one.subscribe(box);
    await reader.atLeast(windowBytes / mebibyte - 1);
    for (const messageId of sent.slice(0, 30)) await acknowledge(other, box, messageId);
    await until("the settled copies are gone", async () => {
      return (await copiesIn(room.nats, box)).length === sent.length - 30;
    });
    const seen = (): ReadonlySet<string> => new Set(ids(reader.items));
    await until("everything was given", () => sent.every((id) => seen().has(id)), 8_000);
  });
});

describe("the consumer of a stream", () => {
  it("knows nothing any more of what was acknowledged and deleted", async () => {
    await using room = await openMailRoom();
    await using one = await room.open();
    const box = mailboxOf("b");
    const sent = await fill(room.nats, box, { count: 20 });
    await using reader = await one.subscribe(box);
    await reader.atLeast(20);
    for (const messageId of sent) await acknowledge(one, box, messageId);
    await until("nothing is pending", async () => {
      const [consumer] = await room.nats.jsm.consumers.list(streams.messages).next();
      return consumer?.num_ack_pending === 0 && (await copiesIn(room.nats, box)).length === 0;
    });
    assert.equal(reader.items.length, 20);
  });
});
