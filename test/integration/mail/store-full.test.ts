import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import type { OutgoingMessage } from "../../../src/domain/messages/message.ts";
import { factsOf } from "../../../src/domain/messages/routing.ts";
import type { StoreRoom } from "../../../src/nats/store-room.ts";
import { streams } from "../../../src/nats/subjects.ts";
import { crowded } from "../../support/crowded.ts";
import { until } from "../../support/until.ts";
import {
  holdersOf,
  mailboxOf,
  messageTo,
  openMailRoom,
  type MailInstance,
  type MailRoom,
} from "./mail-room.ts";

const payload = new Uint8Array(100_000);
/** Far below what a call may take. */
const atOnceMs = 500;

const newMessage = (to: readonly string[]): OutgoingMessage =>
  messageTo(mailboxOf("a").sessionId, to, { payload });

const claimOn = (message: OutgoingMessage) => ({
  ...message,
  contentHash: "h",
  facts: factsOf(message),
});

async function isRefusedAtOnce(storing: Promise<unknown>, reason: string): Promise<void> {
  const startedAt = performance.now();
  await assert.rejects(storing, { name: "RouterError", reason });
  assert.ok(performance.now() - startedAt < crowded(atOnceMs));
}

describe("a broker that has no room for a message", () => {
  let room: MailRoom;
  let instance: MailInstance;
  const limit = (maxBytes: number): Promise<unknown> =>
    room.nats.jsm.streams.update(streams.messages, { max_bytes: maxBytes });
  before(async () => {
    room = await openMailRoom();
    instance = await room.open();
  });
  afterEach(() => limit(-1));
  after(() => room[Symbol.asyncDispose]());

  it("makes it refused at once as STORE_FULL, and nothing is stored", async () => {
    const message = newMessage(["b", "c", "d"]);
    await limit(50_000);
    await isRefusedAtOnce(instance.mail.store.append(message), "STORE_FULL");
    await limit(-1);
    assert.deepEqual(await holdersOf(room.nats, message), []);
    await instance.mail.store.append(message);
    assert.deepEqual(await holdersOf(room.nats, message), ["b", "c", "d"]);
  });

  it("makes the outcome unknown where it took some of the copies, and they are completed later", async () => {
    await room.nats.jsm.streams.purge(streams.messages);
    const message = newMessage(["b", "c", "d"]);
    await limit(150_000);
    await isRefusedAtOnce(instance.mail.store.append(message), "BROKER_UNAVAILABLE");
    assert.equal((await holdersOf(room.nats, message)).length, 1);
    await limit(-1);
    await until(
      "all have it",
      async () => (await holdersOf(room.nats, message)).length === 3,
      10_000,
    );
  });
});

async function setup() {
  const room = await openMailRoom();
  const state = { isFull: false };
  const storeRoom: StoreRoom = {
    isFull: () => state.isFull,
    take: () => !state.isFull,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const { mail } = await room.open({ room: storeRoom });
  return { room, state, mail, [Symbol.asyncDispose]: () => room[Symbol.asyncDispose]() };
}

describe("a store without room for mail", () => {
  it("refuses new messages and their claims, and leaves no claim", async () => {
    await using fixture = await setup();
    const { mail, state } = fixture;
    state.isFull = true;
    const message = newMessage(["b"]);
    await isRefusedAtOnce(mail.store.append(message), "STORE_FULL");
    await isRefusedAtOnce(mail.store.claim(claimOn(message)), "STORE_FULL");
    assert.equal(await mail.store.claimOn(message.sessionId, message.messageId), undefined);
  });

  it("answers the repeat of a call that was taken, and completes what somebody has already", async () => {
    await using fixture = await setup();
    const { room, mail, state } = fixture;
    const message = newMessage(["b", "c"]);
    const [b] = message.recipients;
    assert.ok(b !== undefined);
    assert.equal(await mail.store.claim(claimOn(message)), "claimed");
    await mail.store.append({ ...message, recipients: [b] });
    state.isFull = true;
    assert.notEqual(await mail.store.claim(claimOn(message)), "claimed");
    await mail.store.complete(message);
    assert.deepEqual(await holdersOf(room.nats, message), ["b", "c"]);
  });
});
