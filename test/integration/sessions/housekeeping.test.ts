import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { retentionMs } from "../../../src/domain/sessions/session.ts";
import { crowded } from "../../support/crowded.ts";
import { until } from "../../support/until.ts";
import { refusal } from "../../unit/domain/sessions/session-records.ts";
import { anybody, joinOn, openTrio, reportOn, request, startOn } from "./calls.ts";
import { eventTypesOf, type Instance } from "./instances.ts";

async function isMarked(instance: Instance, sessionId: string): Promise<boolean> {
  const record = (await instance.sessions.read(sessionId))?.record;
  return record !== undefined && record.publishedCount === record.transitions.length;
}

describe("expiry", () => {
  it("is exact when it is read, and refuses everything at once", async () => {
    await using trio = await openTrio();
    const created = await trio.a.coordinator.createSession(anybody, request());
    const { sessionId } = created.record;
    await joinOn(trio.a, created, "p0");
    trio.clock.advance(600_001);
    const read = await trio.b.coordinator.getSession(anybody, sessionId);
    assert.equal(read.status, "expired");
    assert.equal(read.endedAt, created.record.expiresAt);
    assert.equal((await trio.b.coordinator.getStatus(anybody, sessionId)).status, "expired");
    const query = { status: "expired", type: "", partyId: "", pageSize: 0, pageToken: "" };
    const { records } = await trio.b.coordinator.listSessions(anybody, query);
    assert.equal(records.length, 1);
    await assert.rejects(joinOn(trio.b, created, "p1"), refusal("SESSION_EXPIRED"));
    const { coordinator } = trio.b;
    const seat = { sessionId, partyId: "p0" };
    await assert.rejects(coordinator.markReady(anybody, seat), refusal("SESSION_EXPIRED"));
    await assert.rejects(
      coordinator.cancelSession(anybody, sessionId, ""),
      refusal("SESSION_EXPIRED"),
    );
  });

  it("has its event within two seconds although the instance that made the session is gone", async () => {
    await using trio = await openTrio();
    const { record } = await trio.a.coordinator.createSession(
      anybody,
      request({ expiresInMs: 1_000 }),
    );
    await trio.a[Symbol.asyncDispose]();
    trio.b.keepHouse();
    const { sessionId } = record;
    await until("the event", async () =>
      (await eventTypesOf(trio.b, sessionId)).includes("session_expired"),
    );
    const late = Date.now() - record.expiresAt;
    assert.ok(late < crowded(2_000), `it came after ${late} ms`);
  });

  it("makes one event when both instances see it", async () => {
    await using trio = await openTrio();
    const { record } = await trio.a.coordinator.createSession(anybody, request());
    trio.clock.advance(601_000);
    const { housekeeping: onA } = trio.a.coordinator;
    const { housekeeping: onB } = trio.b.coordinator;
    await trio.b.sessions.catchUp();
    await Promise.all([onA.expireDue(), onB.expireDue(), onA.expireDue(), onB.expireDue()]);
    const types = await eventTypesOf(trio.b, record.sessionId);
    assert.deepEqual(types, ["session_created", "session_expired"]);
    const stored = await trio.b.sessions.read(record.sessionId);
    assert.equal(stored?.record.endedAt, record.expiresAt);
  });
});

describe("publication", () => {
  it("is noted in the record a moment later", async () => {
    await using trio = await openTrio();
    const created = await trio.a.coordinator.createSession(anybody, request());
    const { sessionId } = created.record;
    assert.equal(await isMarked(trio.a, sessionId), false);
    await trio.a.coordinator.housekeeping.publishDue();
    assert.equal(await isMarked(trio.a, sessionId), true);
    await joinOn(trio.b, created, "p0");
    trio.a.keepHouse();
    trio.b.keepHouse();
    await until("the note", () => isMarked(trio.a, sessionId));
  });

  it("is taken over, in order, where an instance died after its decision", async () => {
    await using trio = await openTrio();
    const { record } = await trio.a.coordinator.createSession(anybody, request());
    const { sessionId } = record;
    const stored = await trio.a.sessions.read(sessionId);
    assert.ok(stored);
    // What a dying instance leaves: the decision without its events.
    const { endedAt, ...rest } = stored.record;
    const at = endedAt + record.createdAt + 5;
    const decided = {
      ...rest,
      endedAt: at,
      status: "failed" as const,
      failureReason: "cancelled",
      transitions: [
        ...rest.transitions,
        { type: "party_joined" as const, at, partyIndex: 0 },
        { type: "session_failed" as const, at, word: "cancelled" as const },
      ],
    };
    await trio.a.sessions.replace(stored, decided);
    trio.b.keepHouse();
    await until("the events", () => isMarked(trio.b, sessionId));
    assert.deepEqual(await eventTypesOf(trio.b, sessionId), [
      "session_created",
      "party_joined",
      "session_failed",
    ]);
  });

  it("answers no call before the events of all earlier decisions are stored", async () => {
    await using trio = await openTrio();
    const { record } = await trio.a.coordinator.createSession(anybody, request());
    const { sessionId } = record;
    await trio.a.events.removeSession(sessionId);
    const stored = await trio.b.sessions.read(sessionId);
    assert.equal(stored?.record.publishedCount, 0);
    await trio.b.coordinator.cancelSession(anybody, sessionId, "");
    const types = await eventTypesOf(trio.a, sessionId);
    assert.deepEqual(types, ["session_created", "session_failed"]);
  });
});

describe("sweeping secrets", () => {
  it("erases one whose session never came to be, once it cannot come any more", async () => {
    await using trio = await openTrio();
    const { coordinator, secrets } = trio.a;
    const id = `never-made-${"a".repeat(32)}`;
    await secrets.put("lent", id, new Uint8Array(9));
    await coordinator.housekeeping.sweep();
    trio.clock.advance(59_000);
    await coordinator.housekeeping.sweep();
    assert.deepEqual(await secrets.ids("lent"), [id]);
    trio.clock.advance(2_000);
    await coordinator.housekeeping.sweep();
    assert.deepEqual(await secrets.ids("lent"), []);
  });

  it("erases what an instance that died left of a session that ended", async () => {
    await using trio = await openTrio();
    const { record } = await trio.a.coordinator.createSession(anybody, request());
    const id = `${record.sessionId}-${"b".repeat(32)}`;
    await trio.a.coordinator.cancelSession(anybody, record.sessionId, "");
    await trio.a.secrets.put("share", id, new Uint8Array(9));
    await trio.b.coordinator.housekeeping.sweep();
    assert.deepEqual(await trio.b.secrets.ids("share"), []);
  });
});

describe("forgetting", () => {
  it("removes a session a day after its end, on every instance, and tells the other rooms", async () => {
    await using trio = await openTrio();
    const { record } = await trio.a.coordinator.createSession(anybody, request());
    const { sessionId } = record;
    await trio.a.coordinator.cancelSession(anybody, sessionId, "");
    await trio.b.sessions.catchUp();
    trio.clock.advance(retentionMs - 5_000);
    await trio.a.coordinator.housekeeping.sweep();
    assert.equal((await trio.a.coordinator.getSession(anybody, sessionId)).status, "failed");
    trio.clock.advance(6_000);
    // Nobody has swept yet, and still it is gone.
    await assert.rejects(
      trio.b.coordinator.getSession(anybody, sessionId),
      refusal("SESSION_NOT_FOUND"),
    );
    assert.equal(await trio.b.coordinator.find(sessionId), undefined);
    await trio.a.coordinator.housekeeping.sweep();
    await trio.b.coordinator.housekeeping.sweep();
    assert.deepEqual(trio.a.forgotten, [sessionId]);
    assert.deepEqual(trio.b.forgotten, []);
    assert.equal(trio.b.sessions.cached(sessionId), undefined);
    assert.equal(await trio.b.sessions.read(sessionId), undefined);
    assert.deepEqual(await eventTypesOf(trio.a, sessionId), []);
  });

  it("forgets what expired while no instance ran for days", async () => {
    await using trio = await openTrio();
    const { record } = await trio.a.coordinator.createSession(anybody, request());
    trio.clock.advance(3 * retentionMs);
    await trio.a.coordinator.housekeeping.expireDue();
    await trio.a.coordinator.housekeeping.sweep();
    assert.equal(await trio.a.sessions.read(record.sessionId), undefined);
  });

  it("leaves a session that was made anew under the same id", async () => {
    await using trio = await openTrio();
    const named = request({ requestId: "request-1" });
    const first = await trio.a.coordinator.createSession(anybody, named);
    const { sessionId } = first.record;
    await trio.a.coordinator.cancelSession(anybody, sessionId, "");
    await trio.b.sessions.catchUp();
    trio.clock.advance(retentionMs + 1_000);
    await trio.a.coordinator.housekeeping.sweep();
    const second = await trio.a.coordinator.createSession(anybody, named);
    assert.equal(second.record.sessionId, sessionId);
    await trio.b.coordinator.housekeeping.sweep();
    assert.equal((await trio.b.coordinator.getSession(anybody, sessionId)).status, "created");
    assert.deepEqual(await eventTypesOf(trio.a, sessionId), ["session_created"]);
    assert.deepEqual(trio.b.forgotten, []);
  });

  it("keeps a completed keygen session, with nothing in it that signing does not need", async () => {
    await using trio = await openTrio();
    const created = await trio.a.coordinator.createSession(anybody, request());
    const { sessionId } = created.record;
    await startOn(() => trio.a, created);
    for (const partyId of ["p0", "p1", "p2"]) await reportOn(trio.a, sessionId, partyId);
    trio.clock.advance(90 * retentionMs);
    await trio.a.coordinator.housekeeping.sweep();
    const { coordinator } = trio.b;
    const kept = await coordinator.getSession(anybody, sessionId);
    assert.equal(kept.status, "completed");
    assert.equal(kept.parties[0]?.deviceInfo, undefined);
    const status = await coordinator.getStatus({ kind: "party", partyId: "p1" }, sessionId);
    assert.equal(status.parties.length, 3);
    const query = { status: "", type: "keygen", partyId: "", pageSize: 0, pageToken: "" };
    const { records } = await coordinator.listSessions(anybody, query);
    assert.deepEqual(
      records.map((one) => one.sessionId),
      [sessionId],
    );
    const signal = AbortSignal.timeout(10_000);
    const states: string[] = [];
    for await (const one of await coordinator.watchSession(anybody, sessionId, signal)) {
      states.push(one.status);
    }
    assert.deepEqual(states, ["completed"]);
    const seat = { sessionId, partyId: "p0" };
    await assert.rejects(coordinator.markReady(anybody, seat), refusal("SESSION_NOT_FOUND"));
    const signing = await coordinator.createSession(
      anybody,
      request({
        sessionType: "sign",
        messageHash: new Uint8Array(32),
        selectedParties: ["p1", "p2"],
        keygenSessionId: sessionId,
      }),
    );
    assert.equal(signing.record.parties[0]?.partyIndex, 1);
  });
});
