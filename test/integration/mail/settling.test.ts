import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { brokerUnavailable } from "../../../src/domain/errors.ts";
import { createSettler, type SettledCopy } from "../../../src/nats/mail/settler.ts";
import { startSweep } from "../../../src/nats/mail/sweep.ts";
import { provision } from "../../../src/nats/provisioning.ts";
import { streams } from "../../../src/nats/subjects.ts";
import { silentLogger } from "../../../src/telemetry/logger.ts";
import { crowded } from "../../support/crowded.ts";
import { until } from "../../support/until.ts";
import {
  acknowledge,
  copiesIn,
  holdersOf,
  leaveCopy,
  leaveRecord,
  mailboxOf,
  messageTo,
  openMailRoom,
  type MailInstance,
  type MailRoom,
} from "./mail-room.ts";

/** A message and its mailboxes. */
function setup(to: readonly string[] = ["b"]) {
  const { sessionId } = mailboxOf("a");
  return {
    message: messageTo(sessionId, to),
    b: { partyId: "b", sessionId },
    c: { partyId: "c", sessionId },
    d: { partyId: "d", sessionId },
  };
}

/** A sweep whose findings go nowhere. */
function sweepOf(room: MailRoom, repair: (messageId: string) => Promise<void>) {
  const added: string[] = [];
  const sweep = startSweep({
    nats: room.nats,
    logger: silentLogger,
    instanceId: "sweeper",
    settler: {
      add: (_box, messageId) => void added.push(messageId),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
    fanOut: {
      append: () => Promise.resolve(),
      complete: () => Promise.resolve(),
      repair: ({ messageId }) => repair(messageId),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
  });
  return { added, sweep };
}

describe("settled copies", () => {
  let room: MailRoom;
  let instance: MailInstance;
  const told: SettledCopy[] = [];
  before(async () => {
    room = await openMailRoom();
    instance = await room.open({
      tellFailure: (copy) => {
        told.push(copy);
        return Promise.resolve();
      },
    });
  });
  after(() => room[Symbol.asyncDispose]());

  it("are deleted, though never before their record is a second old", async () => {
    const { message, b, c, d } = setup(["b", "c", "d"]);
    await instance.mail.store.append(message);
    const recordedAt = new Map<string, number>();
    const gone = new Map<string, number>();
    const boxes = [b, c, d];
    const startedAt = performance.now();
    await until("all copies are deleted", async () => {
      for (const [index, box] of boxes.entries()) {
        const isTime = performance.now() - startedAt > index * 700;
        if (isTime && !recordedAt.has(box.partyId)) {
          await acknowledge(instance, box, message.messageId);
          recordedAt.set(box.partyId, performance.now());
        }
      }
      const holders = new Set(await holdersOf(room.nats, message));
      for (const { partyId } of boxes) {
        if (!holders.has(partyId) && !gone.has(partyId)) gone.set(partyId, performance.now());
      }
      return holders.size === 0;
    });
    for (const { partyId } of boxes) {
      const ageMs = (gone.get(partyId) ?? 0) - (recordedAt.get(partyId) ?? Infinity);
      assert.ok(ageMs >= 990, `the copy of ${partyId} went after ${ageMs} ms`);
      assert.ok(ageMs < 5_000, `the copy of ${partyId} went after ${ageMs} ms`);
    }
  });

  it("stay while nothing settles them", async () => {
    const { message, b, c } = setup(["b", "c"]);
    await instance.mail.store.append(message);
    await leaveRecord(room.nats, message, { partyId: "b", state: "nak1" });
    await acknowledge(instance, c, message.messageId);
    await until(
      "the settled one is deleted",
      async () => (await copiesIn(room.nats, c)).length === 0,
    );
    assert.deepEqual(await copiesIn(room.nats, b), [message.messageId]);
  });

  it("are deleted although the preparation of another fails", async () => {
    const failing = setup();
    const fine = Array.from({ length: 40 }, () => setup());
    await using settler = createSettler({
      nats: room.nats,
      logger: silentLogger,
      prepare: ({ messageId }) =>
        messageId === failing.message.messageId
          ? Promise.reject(new Error("not now"))
          : Promise.resolve(),
    });
    for (const { message, b } of [failing, ...fine]) {
      await leaveCopy(room.nats, message, "b");
      await leaveRecord(room.nats, message, { partyId: "b", state: "ack" });
      settler.add(b, message.messageId);
    }
    await until("the others are deleted", async () => {
      const left = await Promise.all(fine.map(({ b }) => copiesIn(room.nats, b)));
      return left.flat().length === 0;
    });
    assert.deepEqual(await copiesIn(room.nats, failing.b), [failing.message.messageId]);
  });

  it("are told of first where they failed", async () => {
    const { message, b } = setup();
    await leaveCopy(room.nats, message, "b");
    await leaveRecord(room.nats, message, { partyId: "b", state: "fail" });
    // A party that comes late to it settles it for good.
    await acknowledge(instance, b, message.messageId);
    await until("the copy is deleted", async () => (await copiesIn(room.nats, b)).length === 0);
    assert.ok(told.some(({ messageId }) => messageId === message.messageId));
  });
});

describe("a store that lost what was stored last", () => {
  it("keeps the message that has the place of a lost one, when that is acknowledged", async () => {
    await using room = await openMailRoom();
    await using instance = await room.open();
    const lost = setup();
    await instance.mail.store.append(lost.message);
    const query = { createdAfter: 0, maxMessages: 1, maxBytes: 1_000 };
    assert.equal((await instance.mail.store.pending(lost.b, query)).length, 1);
    await room.nats.jsm.streams.delete(streams.messages);
    await provision(room.nats);
    // It cannot lose anything but by a crash, which cuts every connection.
    await instance.nats.nc.reconnect();
    const next = setup();
    await instance.mail.store.append(next.message);
    await acknowledge(instance, lost.b, lost.message.messageId);
    const other = setup();
    await instance.mail.store.append(other.message);
    await acknowledge(instance, other.b, other.message.messageId);
    await until(
      "what was acknowledged later is deleted",
      async () => (await copiesIn(room.nats, other.b)).length === 0,
    );
    assert.deepEqual(await copiesIn(room.nats, next.b), [next.message.messageId]);
  });
});

describe("the sweep", () => {
  it("finds copies that were left behind, and leaves alone what nothing settles", async () => {
    await using room = await openMailRoom();
    const { sessionId } = mailboxOf("a");
    const createdAt = Date.now() - 10_000;
    const settled = messageTo(sessionId, ["b"], { createdAt });
    const failed = messageTo(sessionId, ["b"], { createdAt });
    const open = messageTo(sessionId, ["b"], { createdAt });
    for (const message of [settled, failed, open]) await leaveCopy(room.nats, message, "b");
    await leaveRecord(room.nats, settled, { partyId: "b", state: "ack" });
    await leaveRecord(room.nats, failed, { partyId: "b", state: "fail" });
    const told: string[] = [];
    await using instance = await room.open({
      tellFailure: ({ messageId }) => {
        told.push(messageId);
        return Promise.resolve();
      },
    });
    const box = { partyId: "b", sessionId };
    await until("only the open one is left", async () => {
      const left = await copiesIn(room.nats, box);
      return left.length === 1 && left[0] === open.messageId;
    });
    assert.deepEqual(told, [failed.messageId]);
    await using reader = await instance.subscribe(box);
    const given = await reader.atLeast(1);
    assert.deepEqual(
      given.map(({ messageId }) => messageId),
      [open.messageId],
    );
  });

  it("is made again when it failed", async () => {
    await using room = await openMailRoom();
    const message = messageTo("s", ["b", "c"], { createdAt: Date.now() - 10_000 });
    await leaveCopy(room.nats, message, "b");
    let tries = 0;
    const { sweep } = sweepOf(room, () => {
      tries += 1;
      return tries === 1 ? Promise.reject(brokerUnavailable("repairing")) : Promise.resolve();
    });
    await using _ = sweep;
    await until("it was tried again", () => tries >= 2, 8_000);
  });

  it("looks at the other messages although one cannot be completed", async () => {
    await using room = await openMailRoom();
    const messages = Array.from({ length: 10 }, () =>
      messageTo("s", ["b", "c"], { createdAt: Date.now() - 10_000 }),
    );
    for (const message of messages) await leaveCopy(room.nats, message, "b");
    const looked = new Set<string>();
    const { sweep } = sweepOf(room, (messageId) => {
      looked.add(messageId);
      return messageId === messages[0]?.messageId
        ? Promise.reject(new Error("never"))
        : Promise.resolve();
    });
    await using _ = sweep;
    await until("all were looked at", () => looked.size === messages.length, 8_000);
  });

  it("stops when it is disposed, however much there is to look at", async () => {
    await using room = await openMailRoom();
    const messages = Array.from({ length: 50 }, () =>
      messageTo("s", ["b", "c"], { createdAt: Date.now() - 10_000 }),
    );
    for (const message of messages) await leaveCopy(room.nats, message, "b");
    const looked = new Set<string>();
    const { sweep } = sweepOf(room, async (messageId) => {
      looked.add(messageId);
      await new Promise((resolve) => setTimeout(resolve, 100));
    });
    await until("it has begun", () => looked.size > 0, 8_000);
    const startedAt = performance.now();
    await sweep[Symbol.asyncDispose]();
    assert.ok(performance.now() - startedAt < crowded(1_000));
    assert.ok(looked.size < messages.length);
  });
});
