import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Mailbox, Message } from "../../../src/domain/messages/message.ts";
import type { Nats } from "../../../src/nats/connection.ts";
import { streams } from "../../../src/nats/subjects.ts";
import type { Reader } from "../../support/sessions.ts";
import { until } from "../../support/until.ts";
import { acknowledge, leaveCopy, mailboxOf, messageTo, openMailRoom } from "./mail-room.ts";

const ids = (messages: readonly Message[]): readonly string[] =>
  messages.map(({ messageId }) => messageId);

const timesOf = ({ items }: Reader<Message>, messageId: string): number =>
  items.filter((item) => item.messageId === messageId).length;

async function deleteConsumers(nats: Nats): Promise<void> {
  for await (const { name } of nats.jsm.consumers.list(streams.messages)) {
    await nats.jsm.consumers.delete(streams.messages, name);
  }
}

function manyTo(box: Mailbox, count: number): ReturnType<typeof messageTo>[] {
  return Array.from({ length: count }, () => messageTo(box.sessionId, [box.partyId]));
}

describe("a stream whose consumer is deleted", () => {
  it("has a new one within two seconds, which gives what waits and nothing twice", async () => {
    await using room = await openMailRoom();
    await using one = await room.open();
    const box = mailboxOf("b");
    const [first, second, third] = manyTo(box, 3);
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    await using reader = await one.subscribe(box);
    await one.mail.store.append(first);
    await one.mail.store.append(second);
    await reader.atLeast(2);
    await acknowledge(one, box, first.messageId);
    await deleteConsumers(room.nats);
    await one.mail.store.append(third);
    assert.deepEqual(ids(await reader.atLeast(3, 2_000)), ids([first, second, third]));
    await acknowledge(one, box, second.messageId);
    await acknowledge(one, box, third.messageId);
    await until("the new consumer knows that all is settled", async () => {
      const [consumer] = await room.nats.jsm.consumers.list(streams.messages).next();
      return consumer?.num_ack_pending === 0 && consumer.num_pending === 0;
    });
    assert.equal(reader.items.length, 3);
  });

  it("delivers again at the time of a refusal that came after the loss", async () => {
    await using room = await openMailRoom();
    await using one = await room.open();
    const box = mailboxOf("b");
    const [message] = manyTo(box, 1);
    assert.ok(message !== undefined);
    await using reader = await one.subscribe(box);
    await one.mail.store.append(message);
    await reader.atLeast(1);
    await deleteConsumers(room.nats);
    await until("the consumer is there again", async () => {
      const found = await room.nats.jsm.consumers.list(streams.messages).next();
      return found.length === 1 && found[0]?.num_ack_pending === 1;
    });
    const known = await one.mail.log.read(box, message.messageId);
    assert.ok(known !== undefined);
    const delivery = { box, messageId: message.messageId, facts: known.facts };
    const refusal = { number: 1, atMs: Date.now(), error: "busy", redeliverAfterMs: 1_000 };
    await one.mail.log.refuse(delivery, refusal);
    await reader.atLeast(2, 3_000);
  });
});

describe("a stream whose broker is killed", () => {
  it("sends nothing again before its ack wait is over, and then all that is unacknowledged", async () => {
    await using room = await openMailRoom();
    const ackWaitMs = 3_000;
    await using one = await room.open({ ackWaitMs });
    const box = mailboxOf("b");
    const messages = manyTo(box, 20);
    await using reader = await one.subscribe(box);
    for (const message of messages) await one.mail.store.append(message);
    await reader.atLeast(20);
    const givenAt = performance.now();
    const [settled, ...open] = ids(messages);
    assert.ok(settled !== undefined);
    await acknowledge(one, box, settled);
    // The newest records of an unreplicated broker may be lost.
    await until("the record has aged", () => performance.now() - givenAt > 200);
    await room.server.kill("SIGKILL");
    await room.server.restart();
    const [later] = manyTo(box, 1);
    assert.ok(later !== undefined);
    await one.mail.store.append(later);
    await until("what came since is given", () => timesOf(reader, later.messageId) === 1);
    await until("the ack wait is nearly over", () => performance.now() - givenAt > ackWaitMs - 300);
    assert.equal(reader.items.length, 21);
    await until(
      "all unacknowledged ones came again",
      () => open.every((messageId) => timesOf(reader, messageId) === 2),
      ackWaitMs,
    );
    assert.equal(timesOf(reader, settled), 1);
  });

  it("lives on when the broker does not answer while it looks what is settled", async () => {
    await using room = await openMailRoom();
    await using one = await room.open();
    const box = mailboxOf("b");
    const messages = manyTo(box, 130);
    for (const message of messages) await one.mail.store.append(message);
    const leaving = new AbortController();
    const stream = await one.mail.mailboxes.open(box, {
      keepUntil: Date.now() + 60_000,
      ended: new AbortController().signal,
      signal: leaving.signal,
    });
    const reading = stream[Symbol.asyncIterator]();
    const given: string[] = [];
    const take = async (): Promise<void> => {
      const next = await reading.next();
      if (next.done !== true) given.push(next.value.messageId);
    };
    await take();
    process.kill(room.server.pid, "SIGSTOP");
    const thaw = setTimeout(() => process.kill(room.server.pid, "SIGCONT"), 3_500);
    try {
      while (given.length < messages.length) await take();
    } finally {
      clearTimeout(thaw);
      process.kill(room.server.pid, "SIGCONT");
      leaving.abort();
    }
    assert.deepEqual(given, ids(messages));
  });
});

describe("a stream whose connection to the broker is cut", () => {
  it("gives at once what was on its way when it was cut, in order and once", async () => {
    await using room = await openMailRoom();
    await using one = await room.open();
    const box = mailboxOf("b");
    const payload = new Uint8Array(20_000);
    await using reader = await one.subscribe(box);
    const sent: string[] = [];
    for (let cut = 1; cut <= 5; cut += 1) {
      const messages = Array.from({ length: 100 }, () =>
        messageTo(box.sessionId, ["b"], { payload }),
      );
      const storing = Promise.all(messages.map((message) => leaveCopy(room.nats, message, "b")));
      await reader.atLeast(sent.length + 1);
      await one.nats.nc.reconnect();
      const sequences = await storing;
      const inOrder = messages.map(
        ({ messageId }, index) => [sequences[index] ?? 0, messageId] as const,
      );
      sent.push(...inOrder.toSorted(([a], [b]) => a - b).map(([, messageId]) => messageId));
      await until(
        "everything was given",
        () => new Set(ids(reader.items)).size === sent.length,
        5_000,
      );
    }
    assert.deepEqual(ids(reader.items), sent);
  });
});
