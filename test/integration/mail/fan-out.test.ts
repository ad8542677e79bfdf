import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Message } from "../../../src/domain/messages/message.ts";
import { openBucket } from "../../../src/nats/bucket.ts";
import type { Nats } from "../../../src/nats/connection.ts";
import { buckets } from "../../../src/nats/subjects.ts";
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

const everything = { createdAfter: 0, maxMessages: 100, maxBytes: 4_000_000 };
const sweptWithinMs = 10_000;

/** What the mailbox gives, but for who asks. */
function withoutPayload({ payload: _payload, ...rest }: Message): object {
  return rest;
}

/** Makes the others see an instance; resolves with the way to make it vanish. */
async function appear(nats: Nats, instanceId: string): Promise<() => Promise<void>> {
  const bucket = openBucket<object>(nats, buckets.presence);
  await bucket.put(`inst.${instanceId}`, {}, { ttlMs: 60_000 });
  const looks = async (): Promise<number> => (await bucket.get("lease.sweep"))?.revision ?? 0;
  // Whoever holds the lease looks who is there, then renews it: the second time it has surely looked.
  for (let seen = 0; seen < 2; seen += 1) {
    const last = await looks();
    await until("the sweep has looked", async () => (await looks()) > last);
  }
  return () => bucket.remove(`inst.${instanceId}`);
}

/** A message of which nothing is stored yet, sent a while ago. */
function setup(to: readonly string[] = ["b", "c", "d"]) {
  const { sessionId } = mailboxOf("a");
  const message = messageTo(sessionId, to, { createdAt: Date.now() - 10_000 });
  return { message, b: { partyId: "b", sessionId }, c: { partyId: "c", sessionId } };
}

describe("a fan-out that was cut short", () => {
  let room: MailRoom;
  let instance: MailInstance;
  before(async () => {
    room = await openMailRoom();
    instance = await room.open();
  });
  after(() => room[Symbol.asyncDispose]());

  it("is completed by the sweep with the same message, for the right recipients", async () => {
    const { message, c } = setup(["b", "c"]);
    await leaveCopy(room.nats, message, "b");
    await (
      await appear(room.nats, "dead-1")
    )();
    await until(
      "both have it",
      async () => (await holdersOf(room.nats, message)).length === 2,
      sweptWithinMs,
    );
    assert.deepEqual(await holdersOf(room.nats, message), ["b", "c"]);
    const [found] = await instance.mail.store.pending(c, everything);
    assert.ok(found !== undefined);
    const { recipients: _recipients, keepUntil: _keepUntil, ...expected } = message;
    assert.deepEqual(withoutPayload(found), withoutPayload(expected));
    assert.deepEqual([...found.payload], [...message.payload]);
  });

  it("is completed at the start of a router", async () => {
    await using alone = await openMailRoom();
    const { message } = setup();
    await leaveCopy(alone.nats, message, "d");
    await alone.open();
    await until(
      "all have it",
      async () => (await holdersOf(alone.nats, message)).length === 3,
      sweptWithinMs,
    );
  });

  it("is completed though it was stored a moment before its instance left", async () => {
    const vanish = await appear(room.nats, "leaving");
    const { message } = setup();
    await leaveCopy(room.nats, { ...message, createdAt: Date.now() }, "b");
    await vanish();
    await until(
      "all have it",
      async () => (await holdersOf(room.nats, message)).length === 3,
      sweptWithinMs,
    );
  });

  it("is completed though the clock of its instance was ahead", async () => {
    const { message } = setup();
    await leaveCopy(room.nats, { ...message, createdAt: Date.now() + 30_000 }, "b");
    await (
      await appear(room.nats, "dead-2")
    )();
    await until(
      "all have it",
      async () => (await holdersOf(room.nats, message)).length === 3,
      sweptWithinMs,
    );
  });

  it("is completed at once by the retry, with the time of the first try", async () => {
    const { message, b, c } = setup(["b", "c"]);
    await leaveCopy(room.nats, message, "b");
    await instance.mail.store.complete(message);
    const [at_b] = await instance.mail.store.pending(b, everything);
    const [at_c] = await instance.mail.store.pending(c, everything);
    assert.deepEqual(at_b, at_c);
    assert.equal(at_c?.createdAt, message.createdAt);
  });

  it("never comes again to a recipient that has settled it", async () => {
    const { message, b, c } = setup(["b", "c"]);
    // The copy of b is gone already, that of c was never stored.
    await leaveRecord(room.nats, message, { partyId: "b", state: "ack" });
    await instance.mail.store.complete(message);
    assert.deepEqual(await copiesIn(room.nats, b), []);
    assert.deepEqual(await copiesIn(room.nats, c), [message.messageId]);
  });

  it("is completed before its last copy is deleted", async () => {
    const { message, b } = setup();
    await leaveCopy(room.nats, message, "b");
    await acknowledge(instance, b, message.messageId);
    await until("the copy of b is deleted", async () => {
      const holders = await holdersOf(room.nats, message);
      return !holders.includes("b");
    });
    assert.deepEqual(await holdersOf(room.nats, message), ["c", "d"]);
  });

  it("stores nothing again once everybody has settled it", async () => {
    const { message } = setup(["b", "c"]);
    await instance.mail.store.append(message);
    for (const partyId of ["b", "c"]) {
      const box = { partyId, sessionId: message.sessionId };
      await acknowledge(instance, box, message.messageId);
    }
    await until(
      "all copies are deleted",
      async () => (await holdersOf(room.nats, message)).length === 0,
    );
    await instance.mail.store.complete(message);
    assert.deepEqual(await holdersOf(room.nats, message), []);
  });
});

describe("many fan-outs cut short at once", () => {
  it("are all completed by the instance that made them", async () => {
    await using room = await openMailRoom();
    let isCut = true;
    await using instance = await room.open({ over: (nats) => cutting(nats, () => isCut) });
    const { sessionId } = mailboxOf("a");
    const messages = Array.from({ length: 100 }, () => messageTo(sessionId, ["b", "c"]));
    const outcomes = await Promise.allSettled(
      messages.map((message) => instance.mail.store.append(message)),
    );
    assert.ok(outcomes.every(({ status }) => status === "rejected"));
    isCut = false;
    const c = { partyId: "c", sessionId };
    await until(
      "every copy is there",
      async () => (await copiesIn(room.nats, c)).length === messages.length,
      sweptWithinMs,
    );
  });
});

describe("a large message", () => {
  it("is on its way to a few of its recipients at a time", async () => {
    await using room = await openMailRoom();
    let underWay = 0;
    let most = 0;
    const over = (nats: Nats): Nats => {
      const js = Object.create(nats.js) as Nats["js"];
      js.publish = async (...call) => {
        underWay += call[0].startsWith("mpc.msg.") ? 1 : 0;
        most = Math.max(most, underWay);
        try {
          return await nats.js.publish(...call);
        } finally {
          underWay -= call[0].startsWith("mpc.msg.") ? 1 : 0;
        }
      };
      return { ...nats, js };
    };
    await using instance = await room.open({ over });
    const { sessionId } = mailboxOf("a");
    const large = messageTo(sessionId, ["b", "c", "d"], { payload: new Uint8Array(8_388_608) });
    await instance.mail.store.append(large);
    assert.deepEqual(await holdersOf(room.nats, large), ["b", "c", "d"]);
    assert.ok(most <= 2, `${most} copies at once`);
    most = 0;
    await instance.mail.store.append(messageTo(sessionId, ["b", "c", "d"]));
    assert.equal(most, 3);
  });
});

/** Loses what is stored for party c while `isCut`. */
function cutting(nats: Nats, isCut: () => boolean): Nats {
  const js = Object.create(nats.js) as Nats["js"];
  js.publish = (subject, ...rest) =>
    isCut() && subject.startsWith("mpc.msg.c.")
      ? Promise.reject(new Error("cut"))
      : nats.js.publish(subject, ...rest);
  return { ...nats, js };
}
