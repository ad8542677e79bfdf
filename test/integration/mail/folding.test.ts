import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import type { Caller } from "../../../src/domain/caller.ts";
import { isRouterError } from "../../../src/domain/errors.ts";
import { createStatusReading } from "../../../src/domain/messages/message-status.ts";
import type { OutgoingMessage } from "../../../src/domain/messages/message.ts";
import type { SessionStore } from "../../../src/domain/sessions/session-ports.ts";
import { retentionMs, type SessionRecord } from "../../../src/domain/sessions/session.ts";
import { factsOf } from "../../../src/domain/messages/routing.ts";
import { foldRecordsOf } from "../../../src/nats/mail/folding.ts";
import { forgetMail, hasMail } from "../../../src/nats/mail/forget.ts";
import { encodeRecord } from "../../../src/nats/json.ts";
import type { Nats } from "../../../src/nats/connection.ts";
import { streams, subjects, type DeliveryState } from "../../../src/nats/subjects.ts";
import { subjectsIn } from "../../../src/nats/reading.ts";
import { openClockedRouters } from "../../support/clocked-routers.ts";
import { openSession, refuses } from "../../support/sessions.ts";
import { countStored } from "../../support/store.ts";
import { until } from "../../support/until.ts";
import { aRunningRecord } from "../../unit/domain/sessions/session-records.ts";
import {
  acknowledge,
  copiesIn,
  holdersOf,
  leaveCopy,
  leaveRecord,
  mailboxOf,
  messageTo,
  openMailRoom,
  roster,
  type MailInstance,
  type MailRoom,
} from "./mail-room.ts";

/** Longer than a summary must be there before the records go. */
const laterMs = 200_000;

/** The same connection, some minutes later. */
function later(nats: Nats): Nats {
  return { ...nats, clock: { nowMs: () => nats.clock.nowMs() + laterMs } };
}

const nobody = { add: () => undefined };

/** Takes the next step of folding the session as an instance does, now or some minutes later. */
function step(nats: Nats, sessionId: string): Promise<number | undefined> {
  return foldRecordsOf({ nats, settler: nobody }, sessionId);
}

/** Folds the session to the end. */
async function fold(nats: Nats, sessionId: string): Promise<void> {
  for (let steps = 0; steps < 5; steps += 1) {
    if ((await step(later(nats), sessionId)) === undefined) return;
  }
  assert.fail("there is always more to fold");
}

function recordsIn(nats: Nats, sessionId: string): Promise<readonly string[]> {
  return subjectsIn(nats, streams.deliveries, subjects.deliveriesOfSession(sessionId));
}

async function isFolded(nats: Nats, sessionId: string): Promise<boolean> {
  const [one, ...others] = await recordsIn(nats, sessionId);
  return one === subjects.deliverySummary(sessionId) && others.length === 0;
}

/** All that can be read of these messages, by everybody. */
async function everything(
  { mail }: MailInstance,
  messages: readonly OutgoingMessage[],
): Promise<readonly unknown[]> {
  const found = messages.map(async ({ sessionId, messageId }) => [
    await mail.store.trace(sessionId, messageId),
    ...(await Promise.all(
      roster.map((partyId) => mail.log.read({ partyId, sessionId }, messageId)),
    )),
  ]);
  return Promise.all(found);
}

interface Written {
  readonly message: number;
  readonly partyId: string;
  readonly state: DeliveryState;
  readonly at: number;
  readonly count: number;
  readonly error: string;
}

const maxMessages = 6;
const written: fc.Arbitrary<Written> = fc.record({
  message: fc.nat({ max: maxMessages - 1 }),
  partyId: fc.constantFrom("b", "c", "d"),
  state: fc.oneof(
    fc.constantFrom<DeliveryState>("dlv", "ack", "fail", "idem"),
    fc.integer({ min: 1, max: 5 }).map((number): DeliveryState => `nak${number}`),
  ),
  at: fc.integer({ min: 1, max: 2_000_000_000_000 }),
  count: fc.integer({ min: 1, max: 9 }),
  error: fc.string({ unit: "binary", maxLength: 40 }),
});

async function write(nats: Nats, message: OutgoingMessage, what: Written): Promise<void> {
  const { partyId, state, at, count, error } = what;
  const { sessionId, messageId } = message;
  const subject =
    state === "idem"
      ? subjects.idempotency(sessionId, messageId)
      : subjects.delivery({ partyId, sessionId }, messageId, state);
  const delivered = { firstAt: at, lastAt: at + count, count, copySequence: at };
  const body = state === "dlv" ? delivered : { at, error };
  await nats.js.publish(subject, encodeRecord({ ...body, facts: factsOf(message) }));
}

/** Some messages of one session, of which each recipient has settled, left or refused some. */
async function history(instance: MailInstance): Promise<readonly OutgoingMessage[]> {
  const { sessionId } = mailboxOf("a");
  const messages = Array.from({ length: 8 }, () => messageTo(sessionId, ["b", "c", "d"]));
  const { log } = instance.mail;
  for (const [index, message] of messages.entries()) {
    const { messageId } = message;
    const facts = factsOf(message);
    await write(instance.nats, message, delivery("b", 100 + index));
    await log.acknowledge({ box: { partyId: "b", sessionId }, messageId, facts }, 200 + index);
    const failure = { atMs: 300 + index, error: `permanent: ${index}` };
    await log.fail({ box: { partyId: "c", sessionId }, messageId, facts }, failure);
  }
  return messages;
}

/** The session of the roster and of one more party, which gets no mail; it has ended. */
function endedRecord(sessionId: string): SessionRecord {
  const record = aRunningRecord({ roles: Array.from({ length: 5 }, () => "persistent" as const) });
  const parties = record.parties.map((party, index) => ({
    ...party,
    partyId: [...roster, "e"][index] ?? "",
  }));
  return { ...record, sessionId, parties, status: "completed", endedAt: Date.now() - 60_000 };
}

function sessionsOf(record: SessionRecord): SessionStore {
  const stored = { record, revision: 1 };
  const sessions = { cached: () => stored, read: () => Promise.resolve(stored) };
  return sessions as unknown as SessionStore;
}

function delivery(partyId: string, at: number): Written {
  return { message: 0, partyId, state: "dlv", at, count: 2, error: "" };
}

describe("the records of a session that has ended", () => {
  let room: MailRoom;
  let instance: MailInstance;
  before(async () => {
    room = await openMailRoom();
    const ends = { mayHaveEnded: () => true, all: () => [], onEnd: () => () => undefined };
    instance = await room.open({ ends });
  });
  after(() => room[Symbol.asyncDispose]());

  it("say the same of every message when they are folded into one, whatever happened", async () => {
    const histories = fc.array(written, { minLength: 1, maxLength: 40 });
    const property = fc.asyncProperty(histories, async (writes) => {
      const { sessionId } = mailboxOf("a");
      const messages = Array.from({ length: maxMessages }, () =>
        messageTo(sessionId, ["b", "c", "d"]),
      );
      for (const what of writes) {
        const message = messages[what.message];
        if (message !== undefined) await write(room.nats, message, what);
      }
      const known = await everything(instance, messages);
      await step(room.nats, sessionId);
      assert.deepEqual(await everything(instance, messages), known);
      await fold(room.nats, sessionId);
      assert.deepEqual(await everything(instance, messages), known);
      assert.equal(await isFolded(room.nats, sessionId), true);
    });
    await fc.assert(property, { numRuns: 40 });
  });

  it("stay until the summary is sure to outlive a power failure", async () => {
    const [message] = await history(instance);
    const sessionId = message?.sessionId ?? "";
    const count = (await recordsIn(room.nats, sessionId)).length;
    assert.ok(((await step(room.nats, sessionId)) ?? 0) > 120_000);
    assert.ok(((await step(room.nats, sessionId)) ?? 0) > 120_000);
    assert.equal((await recordsIn(room.nats, sessionId)).length, count + 1);
    assert.equal(await step(later(room.nats), sessionId), undefined);
    assert.equal(await isFolded(room.nats, sessionId), true);
  });

  it("take acknowledgements that come later, once", async () => {
    const messages = await history(instance);
    const [message] = messages;
    assert.ok(message !== undefined);
    const { sessionId, messageId } = message;
    await leaveCopy(room.nats, message, "d");
    const d = { partyId: "d", sessionId };
    await fold(room.nats, sessionId);
    assert.equal(await acknowledge(instance, d, messageId), true);
    assert.equal(await acknowledge(instance, d, messageId), false);
    await until("its copy goes", async () => (await copiesIn(room.nats, d)).length === 0);
    const known = await everything(instance, messages);
    await fold(room.nats, sessionId);
    assert.deepEqual(await everything(instance, messages), known);
    const trace = await instance.mail.store.trace(sessionId, messageId);
    assert.ok((trace?.records.get("d")?.acknowledgedAt ?? 0) > 0);
    assert.equal(trace?.records.get("b")?.acknowledgedAt, 200);
    assert.deepEqual(trace?.records.get("c")?.failed, { at: 300, error: "permanent: 0" });
  });

  it("take an acknowledgement that comes between summary and purge", async () => {
    const messages = await history(instance);
    const [message] = messages;
    assert.ok(message !== undefined);
    const { sessionId, messageId } = message;
    await step(room.nats, sessionId);
    assert.equal(await acknowledge(instance, { partyId: "c", sessionId }, messageId), true);
    const known = await everything(instance, messages);
    await fold(room.nats, sessionId);
    assert.deepEqual(await everything(instance, messages), known);
    assert.equal(await isFolded(room.nats, sessionId), true);
  });

  it("know a repeated acknowledgement, and keep the time of the first where it is not known", async () => {
    const [message] = await history(instance);
    assert.ok(message !== undefined);
    const { sessionId, messageId } = message;
    const b = { partyId: "b", sessionId };
    await fold(room.nats, sessionId);
    assert.equal(await acknowledge(instance, b, messageId), false);
    // One that has not heard of the end writes the record once more.
    await using unaware = await room.open();
    await acknowledge(unaware, b, messageId);
    const known = await instance.mail.log.read(b, messageId);
    assert.equal(known?.records.acknowledgedAt, 200);
    await fold(room.nats, sessionId);
    assert.deepEqual(await instance.mail.log.read(b, messageId), known);
  });

  it("are folded as well when the instance dies half-way, wherever that is", async () => {
    const messages = await history(instance);
    const sessionId = messages[0]?.sessionId ?? "";
    const known = await everything(instance, messages);
    await step(room.nats, sessionId);
    // A purge that the server did not finish; its summary is there.
    const [, ...records] = await recordsIn(room.nats, sessionId);
    for (const filter of records.slice(0, 5)) {
      await room.nats.jsm.streams.purge(streams.deliveries, { filter });
      assert.deepEqual(await everything(instance, messages), known);
    }
    await fold(room.nats, sessionId);
    assert.deepEqual(await everything(instance, messages), known);
    assert.equal(await isFolded(room.nats, sessionId), true);
  });

  it("are folded by several instances at once without loss", async () => {
    for (let round = 0; round < 10; round += 1) {
      const messages = await history(instance);
      const sessionId = messages[0]?.sessionId ?? "";
      const d = { partyId: "d", sessionId };
      const acknowledging = messages.map(async (message) => {
        const key = { box: d, messageId: message.messageId, facts: factsOf(message) };
        await instance.mail.log.acknowledge(key, Date.now());
      });
      const folding = Array.from({ length: 4 }, () => fold(instance.nats, sessionId));
      await Promise.all([...acknowledging, ...folding, fold(room.nats, sessionId)]);
      const rows = await Promise.all(
        messages.map(({ messageId }) => instance.mail.store.trace(sessionId, messageId)),
      );
      for (const [index, row] of rows.entries()) {
        assert.equal(row?.records.get("b")?.acknowledgedAt, 200 + index);
        assert.equal(row.records.get("b")?.delivered?.count, 2);
        assert.equal(row.records.get("c")?.failed?.error, `permanent: ${index}`);
        assert.ok((row.records.get("d")?.acknowledgedAt ?? 0) > 0);
      }
    }
  });

  it("wait for the copies that they settle, and for no other", async () => {
    const { sessionId } = mailboxOf("a");
    const message = messageTo(sessionId, ["b", "c"]);
    for (const partyId of ["b", "c"]) await leaveCopy(room.nats, message, partyId);
    await leaveRecord(room.nats, message, { partyId: "b", state: "ack" });
    const added: string[] = [];
    const settler = { add: ({ partyId }: { partyId: string }) => void added.push(partyId) };
    await foldRecordsOf({ nats: later(room.nats), settler }, sessionId);
    assert.deepEqual(added, ["b"]);
    assert.equal((await recordsIn(room.nats, sessionId)).length, 1);
    await room.nats.jsm.streams.purge(streams.messages, {
      filter: subjects.message({ partyId: "b", sessionId }, message.messageId),
    });
    await fold(room.nats, sessionId);
    assert.equal(await isFolded(room.nats, sessionId), true);
    // Who has neither copy nor record is served by whoever finds that; who was served is not served again.
    await instance.mail.store.complete(message);
    assert.deepEqual(await holdersOf(room.nats, message), ["c"]);
  });

  it("of other sessions stay as they are, and are forgotten with their own", async () => {
    const [one] = await history(instance);
    assert.ok(one !== undefined);
    const { sessionId } = one;
    const near = messageTo(`${sessionId}1`, ["b"]);
    await leaveRecord(room.nats, near, { partyId: "b", state: "ack" });
    const unfolded = await recordsIn(room.nats, near.sessionId);
    await fold(room.nats, sessionId);
    assert.deepEqual(await recordsIn(room.nats, near.sessionId), unfolded);
    assert.equal(await hasMail(room.nats, sessionId), true);
    await forgetMail(room.nats, sessionId);
    assert.equal(await hasMail(room.nats, sessionId), false);
    assert.equal(await instance.mail.store.trace(sessionId, one.messageId), undefined);
    assert.equal(await step(room.nats, sessionId), undefined);
    assert.deepEqual(await recordsIn(room.nats, sessionId), []);
    assert.deepEqual(await recordsIn(room.nats, near.sessionId), unfolded);
  });

  it("show each caller the same rows as before", async () => {
    const [message] = await history(instance);
    assert.ok(message !== undefined);
    const { sessionId, messageId } = message;
    const status = createStatusReading({
      sessions: sessionsOf(endedRecord(sessionId)),
      store: instance.mail.store,
      clock: room.nats.clock,
    });
    const rowsOf = async (caller: Caller): Promise<readonly string[] | string> => {
      const answer = status(caller, { sessionId, messageId });
      return answer.then(
        ({ rows }) => rows.map((row) => `${row.partyId} ${row.status} ${row.deliveredAt}`),
        (error: unknown) => (isRouterError(error) ? error.reason : assert.fail(String(error))),
      );
    };
    const all = ["b acknowledged 100", "c failed 0", "d failed 0"];
    const seen = async (): Promise<void> => {
      assert.deepEqual(await rowsOf({ kind: "party", partyId: "a" }), all);
      assert.deepEqual(await rowsOf({ kind: "coordinator" }), all);
      assert.deepEqual(await rowsOf({ kind: "party", partyId: "b" }), [all[0]]);
      assert.deepEqual(await rowsOf({ kind: "party", partyId: "d" }), [all[2]]);
      assert.equal(await rowsOf({ kind: "party", partyId: "e" }), "MESSAGE_NOT_FOUND");
      assert.equal(await rowsOf({ kind: "party", partyId: "z" }), "SESSION_NOT_FOUND");
    };
    await seen();
    await fold(room.nats, sessionId);
    await seen();
  });

  it("stay as they are where their summary would be too large", async () => {
    const { sessionId } = mailboxOf("a");
    const messages = Array.from({ length: 800 }, () => messageTo(sessionId, ["b"]));
    for (const message of messages) {
      const error = randomBytes(768).toString("base64");
      await write(room.nats, message, { ...delivery("b", 1), state: "fail", error });
    }
    assert.equal(await step(later(room.nats), sessionId), undefined);
    assert.equal((await recordsIn(room.nats, sessionId)).length, messages.length);
  });
});

/** Long enough after the end that a session is folded, and then that its records go; in milliseconds. */
const [foldedAfterMs, purgedAfterMs] = [40_000, 240_000];

describe("a router that folds", () => {
  it("answers of an ended session as before, until it forgets it with all that is kept", async () => {
    await using env = await openClockedRouters();
    await using clients = await env.start();
    const { router, coordinator } = clients;
    const session = await openSession(clients, { count: 4, ready: true });
    const { sessionId, parties } = session;
    const [a = "", b = "", c = "", d = ""] = parties;
    const { messageId } = await router.routeMessage({ sessionId, fromParty: a });
    const { messageId: toC } = await router.routeMessage({
      sessionId,
      fromParty: a,
      toParties: [c],
    });
    for (const partyId of [b, c]) await router.getPendingMessages({ sessionId, partyId });
    const call = { sessionId, messageId };
    await router.acknowledgeMessage({ ...call, partyId: b, success: true });
    await router.acknowledgeMessage({ ...call, partyId: c, errorMessage: "permanent: broken" });
    await coordinator.cancelSession({ sessionId });
    const statuses = () =>
      Promise.all([
        router.getMessageStatus(call),
        router.getMessageStatus({ ...call, messageId: toC }),
      ]);
    const known = await statuses();
    const kept = (): Promise<number> =>
      countStored(env.natsUrl, {
        stream: "MPC_ST",
        filter: subjects.deliveriesOfSession(sessionId),
      });
    const summaries = (): Promise<number> =>
      countStored(env.natsUrl, {
        stream: "MPC_ST",
        filter: subjects.deliverySummary(sessionId),
      });
    const copies = (): Promise<number> =>
      countStored(env.natsUrl, {
        stream: "MPC_MSG",
        filter: subjects.mailOfSession(sessionId),
      });
    await until("settled copies are gone", async () => (await copies()) === 2);
    env.clock.aheadMs = foldedAfterMs;
    await until("the records are folded", async () => (await summaries()) === 1);
    assert.ok((await kept()) > 1);
    env.clock.aheadMs = purgedAfterMs;
    await until("the records are gone", async () => (await kept()) === 1);
    assert.deepEqual(await statuses(), known);
    const answer = async (partyId: string, success: boolean): Promise<string> =>
      (await router.acknowledgeMessage({ ...call, partyId, success })).message;
    assert.equal(await answer(b, true), "already acknowledged");
    assert.equal(await answer(b, false), "already acknowledged");
    assert.equal(await answer(c, false), "failed");
    assert.equal(await answer(d, false), "refused");
    assert.deepEqual(await statuses(), known);
    const toOther = { sessionId, messageId: toC, partyId: b, success: true };
    await refuses(router.acknowledgeMessage(toOther), Code.PermissionDenied, "NOT_A_RECIPIENT");
    await refuses(
      router.acknowledgeMessage({ ...toOther, messageId: "unknown" }),
      Code.NotFound,
      "MESSAGE_NOT_FOUND",
    );
    assert.equal(await answer(d, true), "acknowledged");
    assert.equal(await answer(d, true), "already acknowledged");
    assert.equal(await answer(c, true), "acknowledged");
    assert.equal((await router.getMessageStatus(call)).allAcknowledged, true);
    env.clock.aheadMs = retentionMs + 1_000;
    await using _ = await env.start();
    await until("nothing is left", async () => (await kept()) === 0);
  });
});
