import assert from "node:assert/strict";
import { connect as connectHttp2 } from "node:http2";
import { after, before, describe, it } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { SubscribeMessagesRequestSchema } from "../../../gen/mpc/router/v1/message_router_pb.js";
import type { Mailbox, Message } from "../../../src/domain/messages/message.ts";
import { mailboxHash, streams } from "../../../src/nats/subjects.ts";
import { startFleet } from "../../support/fleet.ts";
import { openSession, read } from "../../support/sessions.ts";
import { until } from "../../support/until.ts";
import {
  acknowledge,
  connect,
  leaveCopy,
  mailboxOf,
  messageTo,
  openMailRoom,
  type MailInstance,
  type MailRoom,
} from "./mail-room.ts";

const mebibyte = 1_048_576;
/** What a reader that has stopped may cost, as semantics.md promises. */
const maxHeldBytes = 8 * mebibyte;

const ids = (messages: readonly Message[]): readonly string[] =>
  messages.map(({ messageId }) => messageId);

/** Messages that the consumer of a mailbox has sent to the router and that are not settled. */
async function sentTo(room: Pick<MailRoom, "nats">, box: Mailbox): Promise<number> {
  for await (const consumer of room.nats.jsm.consumers.list(streams.messages)) {
    if (consumer.name.startsWith(mailboxHash(box))) return consumer.num_ack_pending;
  }
  return 0;
}

/** The count once it no longer grows. */
async function settledCount(count: () => Promise<number>): Promise<number> {
  let last = -1;
  let since = performance.now();
  await until("the count is stable", async () => {
    const now = await count();
    if (now !== last) since = performance.now();
    last = now;
    return now > 0 && performance.now() - since > 500;
  });
  return last;
}

interface Open extends AsyncDisposable {
  take(): Promise<string | undefined>;
}

/** A stream that is read one message at a time. */
async function openByHand(
  instance: MailInstance,
  box: Mailbox,
  ended: AbortSignal = new AbortController().signal,
): Promise<Open> {
  const leaving = new AbortController();
  const keepUntil = Date.now() + 60_000;
  const stream = await instance.mail.mailboxes.open(box, {
    keepUntil,
    ended,
    signal: leaving.signal,
  });
  const reading = stream[Symbol.asyncIterator]();
  return {
    async take() {
      const next = await reading.next();
      return next.done === true ? undefined : next.value.messageId;
    },
    async [Symbol.asyncDispose]() {
      leaving.abort();
      await reading.return?.();
    },
  };
}

describe("a reader that stops reading", () => {
  let room: MailRoom;
  let instance: MailInstance;
  before(async () => {
    room = await openMailRoom();
    instance = await room.open();
  });
  after(() => room[Symbol.asyncDispose]());

  const fill = async (box: Mailbox, count: number, bytes: number): Promise<readonly string[]> => {
    const payload = new Uint8Array(bytes);
    const messages = Array.from({ length: count }, () =>
      messageTo(box.sessionId, [box.partyId], { payload }),
    );
    for (const message of messages) await leaveCopy(room.nats, message, box.partyId);
    return ids(messages);
  };

  it("costs a bounded number of bytes, holds up no other, and gets everything later", async () => {
    const box = mailboxOf("b");
    const sent = await fill(box, 40, mebibyte);
    await using slow = await openByHand(instance, box);
    const given = [await slow.take()];
    const held = await settledCount(() => sentTo(room, box));
    assert.ok(held * mebibyte <= maxHeldBytes, `${held} MiB are held`);
    const other = mailboxOf("c");
    const others = await fill(other, 20, 1_000);
    await using reader = await instance.subscribe(other);
    assert.deepEqual(ids(await reader.atLeast(20)), others);
    while (given.length < sent.length) {
      const messageId = await slow.take();
      given.push(messageId);
      if (messageId !== undefined) await acknowledge(instance, box, messageId);
    }
    assert.deepEqual(given, sent);
  });

  it("costs no more when its session has ended", async () => {
    const box = mailboxOf("b");
    const sent = await fill(box, 30, mebibyte);
    await using slow = await openByHand(instance, box, AbortSignal.abort());
    const startBytes = instance.nats.nc.stats().inBytes;
    const given = [await slow.take()];
    // In messages: the signs of life of what else the instance follows come on.
    await settledCount(async () => Math.ceil(instance.nats.nc.stats().inBytes / mebibyte));
    const cost = instance.nats.nc.stats().inBytes - startBytes;
    assert.ok(cost <= maxHeldBytes, `${cost} bytes were read`);
    while (given.length < sent.length) given.push(await slow.take());
    assert.deepEqual(given, sent);
    assert.equal(await slow.take(), undefined);
  });

  it("gets many small messages in order whatever its pace", async () => {
    const box = mailboxOf("b");
    const sent = await fill(box, 900, 200);
    await using slow = await openByHand(instance, box);
    const given: (string | undefined)[] = [];
    while (given.length < sent.length) {
      given.push(await slow.take());
      if (given.length % 300 === 0) await settledCount(() => sentTo(room, box));
    }
    assert.deepEqual(given, sent);
  });
});

describe("a message larger than what is held for a reader", () => {
  it("is given by the stream, between others, and by polls", async () => {
    await using room = await openMailRoom();
    await using instance = await room.open({ maxPayloadBytes: mebibyte });
    const box = mailboxOf("b");
    const sizes = [100, 6 * mebibyte, 100, 8 * mebibyte, 3 * mebibyte, 100];
    const messages = sizes.map((bytes) =>
      messageTo(box.sessionId, ["b"], { payload: new Uint8Array(bytes) }),
    );
    for (const message of messages) await leaveCopy(room.nats, message, "b");
    await using reader = await instance.subscribe(box);
    const given = await reader.atLeast(sizes.length);
    assert.deepEqual(ids(given), ids(messages));
    assert.deepEqual(
      given.map(({ payload }) => payload.length),
      sizes,
    );
    const polled: string[] = [];
    while (polled.length < sizes.length) {
      const query = { createdAfter: 0, maxMessages: 100, maxBytes: 4_000_000 };
      const page = await instance.mail.store.pending(box, query);
      assert.ok(page.length > 0);
      for (const { messageId } of page) await acknowledge(instance, box, messageId);
      polled.push(...ids(page));
    }
    assert.deepEqual(polled, ids(messages));
  });
});

for (const maxPayload of [4, 8]) {
  describe(`with payloads up to ${maxPayload} MiB`, () => {
    it("the largest pass through stream and poll over the wire", async () => {
      await using fleet = await startFleet("gRPC", [`--max-payload=${maxPayload}MiB`]);
      const { sessionId, parties } = await openSession(fleet, { count: 2 });
      const [fromParty = "", partyId = ""] = parties;
      const sizes = [3 * mebibyte, maxPayload * mebibyte, 3 * mebibyte];
      for (const bytes of sizes) {
        await fleet.router.routeMessage({ sessionId, fromParty, payload: new Uint8Array(bytes) });
      }
      await using reader = read((signal) =>
        fleet.router.subscribeMessages({ sessionId, partyId }, { signal }),
      );
      const given = await reader.atLeast(sizes.length);
      assert.deepEqual(
        given.map(({ payload }) => payload.length),
        sizes,
      );
      for (const { messageId } of given) {
        const { messages } = await fleet.router.getPendingMessages({ sessionId, partyId });
        assert.equal(messages[0]?.messageId, messageId);
        await fleet.router.acknowledgeMessage({ sessionId, partyId, messageId, success: true });
      }
    });
  });
}

describe("a caller that does not read its connection", () => {
  it("costs the router a bounded number of bytes, and gets everything once it reads", async () => {
    await using fleet = await startFleet("gRPC");
    await using nats = await connect(fleet.nats);
    const { sessionId, parties } = await openSession(fleet, { count: 2 });
    const [fromParty = "", partyId = ""] = parties;
    const count = 40;
    for (let sent = 0; sent < count; sent += 1) {
      await fleet.router.routeMessage({ sessionId, fromParty, payload: new Uint8Array(mebibyte) });
    }
    const [url = ""] = fleet.urls;
    using call = openUnread(url, { sessionId, partyId });
    const held = await settledCount(() => sentTo({ nats }, { sessionId, partyId }));
    assert.ok(held * mebibyte <= maxHeldBytes + mebibyte, `${held} MiB are held`);
    assert.ok((await call.readBytes(count * mebibyte)) >= count * mebibyte);
  });
});

/** A SubscribeMessages call, by gRPC, whose answer is left on the connection. */
function openUnread(
  url: string,
  request: { readonly sessionId: string; readonly partyId: string },
): Disposable & { readBytes(count: number): Promise<number> } {
  const session = connectHttp2(url);
  const stream = session.request({
    ":method": "POST",
    ":path": "/mpc.router.v1.MessageRouter/SubscribeMessages",
    "content-type": "application/grpc",
    te: "trailers",
  });
  const body = toBinary(
    SubscribeMessagesRequestSchema,
    create(SubscribeMessagesRequestSchema, request),
  );
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(body.length, 1);
  stream.end(Buffer.concat([prefix, body]));
  return {
    async readBytes(count) {
      let bytes = 0;
      for await (const chunk of stream) {
        bytes += (chunk as Buffer).length;
        if (bytes >= count) break;
      }
      return bytes;
    },
    [Symbol.dispose]: () => session.destroy(),
  };
}
