import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { errors } from "@nats-io/transport-node";
import { isRouterError } from "../../../src/domain/errors.ts";
import type { Message } from "../../../src/domain/messages/message.ts";
import type { Nats } from "../../../src/nats/connection.ts";
import { createOwners } from "../../../src/nats/mail/owners.ts";
import { streams } from "../../../src/nats/subjects.ts";
import { crowded } from "../../support/crowded.ts";
import type { Reader } from "../../support/sessions.ts";
import { until } from "../../support/until.ts";
import {
  acknowledge,
  mailboxOf,
  messageTo,
  openMailRoom,
  withoutNotes,
  type MailInstance,
  type MailRoom,
} from "./mail-room.ts";

/** As semantics.md promises. */
const supersededWithinMs = 2_000;

const ids = (messages: readonly Message[]): readonly string[] =>
  messages.map(({ messageId }) => messageId);

/** Resolves with whether the stream has ended by a newer one. */
async function isSuperseded(reader: Reader<Message>): Promise<boolean> {
  const late = Symbol("late");
  const outcome = await Promise.race([
    reader.ended,
    new Promise((resolve) => setTimeout(resolve, crowded(supersededWithinMs), late)),
  ]);
  return isRouterError(outcome, "SUPERSEDED");
}

/** The first write to the owners bucket that is answered seems lost. */
function losingOneAnswer(nats: Nats): Nats {
  let isLost = false;
  const js = Object.create(nats.js) as Nats["js"];
  js.publish = async (...call) => {
    const ack = await nats.js.publish(...call);
    if (isLost || !call[0].startsWith("$KV.mpc_owners.")) return ack;
    isLost = true;
    throw new errors.TimeoutError();
  };
  return { ...nats, js };
}

/** The first write to the owners bucket is stored and never answered, and no other one is sent until it is given up. */
function losingEveryAnswer(nats: Nats): Nats {
  const js = Object.create(nats.js) as Nats["js"];
  let writes = 0;
  let isOver = false;
  js.publish = async (...call) => {
    if (isOver) return nats.js.publish(...call);
    writes += 1;
    if (writes === 1) await nats.js.publish(...call);
    return new Promise(() => undefined);
  };
  const attempt: Nats["attempt"] = async (what, operation, limits) => {
    try {
      return await nats.attempt(what, operation, limits);
    } catch (error) {
      isOver = true;
      throw error;
    }
  };
  return { ...nats, js, attempt };
}

/** The reader leaves while the take-over of its stream is on its way. */
function leavingOnTakeover(nats: Nats, leaving: AbortController): Nats {
  const js = Object.create(nats.js) as Nats["js"];
  js.publish = (...call) => {
    if (call[0].startsWith("$KV.mpc_owners.")) leaving.abort();
    return nats.js.publish(...call);
  };
  return { ...nats, js };
}

async function two(
  room: MailRoom,
  options: { readonly over?: (nats: Nats) => Nats } = {},
): Promise<readonly [MailInstance, MailInstance]> {
  return [await room.open(), await room.open(options)];
}

describe("two streams of one mailbox", () => {
  it("that are opened at the same moment leave exactly one, which gets everything", async () => {
    await using room = await openMailRoom();
    const [a, b] = await two(room);
    for (let round = 0; round < 60; round += 1) {
      const box = mailboxOf("b");
      const early = messageTo(box.sessionId, ["b"]);
      await a.mail.store.append(early);
      const both = await Promise.all([a.subscribe(box), b.subscribe(box)]);
      const survived = await Promise.race(
        both.map(async (reader, index) => ((await isSuperseded(reader)) ? 1 - index : -1)),
      );
      assert.ok(survived >= 0, `round ${round}: both streams live`);
      const survivor = both[survived];
      assert.ok(survivor !== undefined);
      const late = messageTo(box.sessionId, ["b"]);
      await b.mail.store.append(late);
      assert.deepEqual(ids(await survivor.atLeast(2)), [early.messageId, late.messageId]);
      for (const reader of both) await reader[Symbol.asyncDispose]();
    }
  });

  it("on one instance leave the newest", async () => {
    await using room = await openMailRoom();
    await using a = await room.open();
    const box = mailboxOf("b");
    const readers = await Promise.all([a.subscribe(box), a.subscribe(box), a.subscribe(box)]);
    const ended = await Promise.all(readers.map(isSuperseded));
    assert.equal(ended.filter(Boolean).length, 2);
    for (const reader of readers) await reader[Symbol.asyncDispose]();
  });

  it("are told apart by the record alone when the note is lost", async () => {
    await using room = await openMailRoom();
    const [a, b] = await two(room, { over: withoutNotes });
    const box = mailboxOf("b");
    await using older = await a.subscribe(box);
    await using newer = await b.subscribe(box);
    assert.equal(await isSuperseded(older), true);
    assert.equal(newer.items.length, 0);
  });

  it("are told apart by the record alone also after the broker came back", async () => {
    await using room = await openMailRoom();
    const [a, b] = await two(room, { over: withoutNotes });
    const box = mailboxOf("b");
    await using older = await a.subscribe(box);
    await room.server.kill("SIGKILL");
    await room.server.restart();
    const message = messageTo(box.sessionId, ["b"]);
    await until("the older one is there again", async () => {
      await a.mail.store.append(message);
      return older.items.length > 0;
    });
    await using newer = await b.subscribe(box);
    assert.equal(await isSuperseded(older), true);
    assert.equal((await newer.atLeast(1)).length, 1);
  });

  it("split nothing: what the older had not got acknowledged, the newer gets in order", async () => {
    await using room = await openMailRoom();
    const [a, b] = await two(room);
    const box = mailboxOf("b");
    const messages = Array.from({ length: 50 }, () => messageTo(box.sessionId, ["b"]));
    await using older = await a.subscribe(box);
    for (const message of messages) await a.mail.store.append(message);
    await older.atLeast(50);
    for (const { messageId } of messages.slice(0, 20)) await acknowledge(b, box, messageId);
    await using newer = await b.subscribe(box);
    const given = await newer.atLeast(30);
    assert.deepEqual(ids(given), ids(messages.slice(20)));
    assert.equal(await isSuperseded(older), true);
  });
});

describe("the owner of a mailbox", () => {
  const { signal } = new AbortController();

  it("that renews its hold keeps it although the answer to its write was lost", async () => {
    await using room = await openMailRoom();
    const box = mailboxOf("b");
    const keepUntil = Date.now() + 60_000;
    const owners = createOwners(room.nats, "one");
    const epoch = await owners.take(box, { keepUntil, signal });
    const unlucky = createOwners(losingOneAnswer(room.nats), "one");
    const renewed = await unlucky.renew(box, epoch, keepUntil);
    assert.ok(renewed !== undefined && renewed > epoch);
    assert.equal(await owners.isNewest(box, renewed), true);
  });

  it("keeps it although a write that it had given up is stored before its next one", async () => {
    await using room = await openMailRoom();
    const box = mailboxOf("b");
    const keepUntil = Date.now() + 60_000;
    const owners = createOwners(room.nats, "one");
    const epoch = await owners.take(box, { keepUntil, signal });
    const late = (nats: Nats): Nats => {
      const js = Object.create(nats.js) as Nats["js"];
      let isLate = true;
      js.publish = async (...call) => {
        if (isLate) await owners.renew(box, epoch, keepUntil);
        isLate = false;
        return nats.js.publish(...call);
      };
      return { ...nats, js };
    };
    const renewed = await createOwners(late(room.nats), "one").renew(box, epoch, keepUntil);
    assert.ok(renewed !== undefined && renewed > epoch);
    assert.equal(await owners.isNewest(box, epoch), true);
    assert.equal(await owners.isNewest(box, renewed), true);
  });

  it("has the mailbox back when the taker's reader leaves before its stream begins", async () => {
    await using room = await openMailRoom();
    const leaving = new AbortController();
    const over = (nats: Nats): Nats => leavingOnTakeover(withoutNotes(nats), leaving);
    const [a, b] = await two(room, { over });
    const box = mailboxOf("b");
    await using older = await a.subscribe(box);
    const open = { keepUntil: Date.now() + 60_000, ended: signal, signal: leaving.signal };
    await assert.rejects(b.mail.mailboxes.open(box, open), /^RouterError: SHUTTING_DOWN/);
    assert.equal(await isSuperseded(older), false);
    const message = messageTo(box.sessionId, ["b"]);
    await a.mail.store.append(message);
    assert.deepEqual(ids(await older.atLeast(1)), ids([message]));
    await using newer = await a.subscribe(box);
    assert.equal(await isSuperseded(older), true);
    assert.deepEqual(ids(await newer.atLeast(1)), ids([message]));
  });

  it("has the mailbox back when the taker does not learn what became of its take-over", async () => {
    await using room = await openMailRoom();
    const box = mailboxOf("b");
    const keepUntil = Date.now() + 60_000;
    const owners = createOwners(room.nats, "one");
    const epoch = await owners.take(box, { keepUntil, signal });
    const deaf = createOwners(losingEveryAnswer(room.nats), "other");
    await assert.rejects(deaf.take(box, { keepUntil, signal }), /^RouterError: BROKER_UNAVAILABLE/);
    await until("it was given back", () => owners.isNewest(box, epoch));
    const renewed = await owners.renew(box, epoch, keepUntil);
    assert.ok(renewed !== undefined && renewed > epoch);
  });

  it("has it back also when it had not heard of its own renewal", async () => {
    await using room = await openMailRoom();
    const box = mailboxOf("b");
    const keepUntil = Date.now() + 60_000;
    const owners = createOwners(room.nats, "one");
    const epoch = await owners.take(box, { keepUntil, signal });
    // Stored; that the stream does not hear of it is played by its going on with the epoch it knows.
    const unheard = await owners.renew(box, epoch, keepUntil);
    assert.ok(unheard !== undefined);
    const deaf = createOwners(losingEveryAnswer(room.nats), "other");
    await assert.rejects(deaf.take(box, { keepUntil, signal }), /^RouterError: BROKER_UNAVAILABLE/);
    await until("it was given back", () => owners.isNewest(box, unheard));
    assert.equal(await owners.isNewest(box, epoch), true);
    assert.ok((await owners.renew(box, epoch, keepUntil)) !== undefined);
  });

  it("cannot renew a hold that a newer stream has", async () => {
    await using room = await openMailRoom();
    const box = mailboxOf("b");
    const keepUntil = Date.now() + 60_000;
    const [one, other] = [createOwners(room.nats, "one"), createOwners(room.nats, "other")];
    const epoch = await one.take(box, { keepUntil, signal });
    await other.take(box, { keepUntil, signal });
    assert.equal(await one.renew(box, epoch, keepUntil), undefined);
    assert.equal(await one.isNewest(box, epoch), false);
  });

  it("is not asked for by a stream whose reader has left", async () => {
    await using room = await openMailRoom();
    await using a = await room.open();
    const box = mailboxOf("b");
    const gone = AbortSignal.abort();
    const ended = new AbortController().signal;
    await using reader = await a.subscribe(box);
    await assert.rejects(
      a.mail.mailboxes.open(box, { keepUntil: Date.now() + 60_000, ended, signal: gone }),
      /^RouterError: SHUTTING_DOWN/,
    );
    const { state } = await room.nats.jsm.streams.info(streams.messages);
    assert.equal(state.consumer_count, 1);
    const message = messageTo(box.sessionId, ["b"]);
    await a.mail.store.append(message);
    assert.deepEqual(ids(await reader.atLeast(1)), ids([message]));
  });
});
