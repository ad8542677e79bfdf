import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type {
  OutsideChange,
  OutsideCreation,
} from "../../../src/domain/events/session-directory.ts";
import { subjects } from "../../../src/nats/subjects.ts";
import { refusal } from "../../unit/domain/sessions/session-records.ts";
import {
  alternating,
  anybody,
  joinOn,
  none,
  openTrio,
  reportOn,
  request,
  startOn,
} from "./calls.ts";
import { eventTypesOf, type Pair } from "./instances.ts";

const tokens = new Map(
  ["p0", "p1", "p2"].map((partyId) => [partyId, `outside token of ${partyId}`]),
);

function creation(pair: Pair, changes: Partial<OutsideCreation> = {}): OutsideCreation {
  return {
    eventId: "outside-event-1",
    contentHash: "c".repeat(32),
    createdBy: "backend",
    sessionId: "outside-session-1",
    thresholdN: 3,
    thresholdT: 2,
    selectedParties: ["p0", "p1", "p2"],
    joinTokens: tokens,
    messageHash: none,
    createdAt: pair.clock.nowMs(),
    expiresAt: 0,
    keygenSessionId: "",
    ...changes,
  };
}

function change(pair: Pair, changes: Partial<OutsideChange> = {}): OutsideChange {
  return {
    type: "session_failed",
    eventId: "outside-event-2",
    contentHash: "d".repeat(32),
    at: pair.clock.nowMs(),
    ...changes,
  };
}

describe("a session of an outside coordinator", () => {
  it("is joined with its own tokens, run and completed like any other", async () => {
    await using pair = await openTrio();
    const next = alternating(pair);
    const outside = creation(pair);
    const { sessionId } = outside;
    await next().coordinator.createFromEvent(outside);
    await next().coordinator.createFromEvent(outside);
    const record = await next().coordinator.getSession(anybody, sessionId);
    assert.equal(record.type, "keygen");
    assert.equal(await next().coordinator.joinTokenFor(record, "p1"), "outside token of p1");
    assert.equal((await pair.a.secrets.ids("tokens")).length, 1);
    await startOn(next, { record, joinTokens: tokens });
    for (const partyId of ["p0", "p1", "p2"]) await reportOn(next(), sessionId, partyId);
    assert.equal((await next().coordinator.getSession(anybody, sessionId)).status, "completed");
    assert.equal((await pair.a.secrets.ids("tokens")).length, 0);
    const stored = await pair.a.events.find("outside-event-1");
    assert.equal(stored?.contentHash, outside.contentHash);
    assert.equal(stored.event.eventType, "session_created");
    assert.equal((await eventTypesOf(pair.a, sessionId)).length, 12);
  });

  it("refuses other content under its name, and other events under its session id", async () => {
    await using pair = await openTrio();
    const next = alternating(pair);
    await next().coordinator.createFromEvent(creation(pair));
    const other = creation(pair, { contentHash: "e".repeat(32) });
    await assert.rejects(next().coordinator.createFromEvent(other), refusal("EVENT_EXISTS"));
    const second = creation(pair, { eventId: "outside-event-9", contentHash: "e".repeat(32) });
    await assert.rejects(next().coordinator.createFromEvent(second), refusal("SESSION_EXISTS"));
    const created = await next().coordinator.createSession(anybody, request());
    const taken = creation(pair, { ...second, sessionId: created.record.sessionId });
    await assert.rejects(next().coordinator.createFromEvent(taken), refusal("SESSION_EXISTS"));
    const { js } = pair.a.nats;
    await js.publish(subjects.message({ sessionId: "has-mail", partyId: "p0" }, "m-1"), "x");
    const settled = { sessionId: "had-mail", partyId: "p0" };
    await js.publish(subjects.delivery(settled, "m-1", "ack"), "{}");
    for (const sessionId of ["has-mail", "had-mail"]) {
      const withMail = next().coordinator.createFromEvent(creation(pair, { ...second, sessionId }));
      await assert.rejects(withMail, refusal("SESSION_EXISTS"));
    }
  });

  it("signs with the indexes of the keygen session it names", async () => {
    await using pair = await openTrio();
    const next = alternating(pair);
    const keygen = await next().coordinator.createSession(anybody, request());
    await startOn(next, keygen);
    const keygenSessionId = keygen.record.sessionId;
    for (const partyId of ["p0", "p1", "p2"]) await reportOn(next(), keygenSessionId, partyId);
    const signing = creation(pair, {
      selectedParties: ["p2", "p0"],
      messageHash: new Uint8Array(32),
      keygenSessionId,
    });
    await next().coordinator.createFromEvent(signing);
    const record = await next().coordinator.getSession(anybody, signing.sessionId);
    assert.equal(record.type, "sign");
    assert.deepEqual(
      record.parties.map(({ partyIndex }) => partyIndex),
      [2, 0],
    );
    const unknown = creation(pair, {
      ...signing,
      sessionId: "outside-session-2",
      eventId: "outside-event-3",
      keygenSessionId: "unknown",
    });
    await assert.rejects(
      next().coordinator.createFromEvent(unknown),
      refusal("KEYGEN_NOT_COMPLETED"),
    );
  });

  it("is moved by its coordinator's events, each once", async () => {
    await using pair = await openTrio();
    const next = alternating(pair);
    const { sessionId } = creation(pair);
    await next().coordinator.createFromEvent(creation(pair));
    const failed = change(pair);
    await next().coordinator.applyLifecycleEvent(sessionId, failed);
    await next().coordinator.applyLifecycleEvent(sessionId, failed);
    const record = await next().coordinator.getSession(anybody, sessionId);
    assert.equal(record.status, "failed");
    assert.equal((await pair.a.secrets.ids("tokens")).length, 0);
    const stored = await pair.b.events.find(failed.eventId);
    assert.equal(stored?.event.createdAt, failed.at);
    assert.equal(stored.contentHash, failed.contentHash);
    assert.deepEqual(await eventTypesOf(pair.a, sessionId), ["session_created", "session_failed"]);
    const more = change(pair, { eventId: "outside-event-3" });
    await assert.rejects(
      next().coordinator.applyLifecycleEvent(sessionId, more),
      refusal("SESSION_FAILED"),
    );
    const created = { record, joinTokens: tokens };
    await assert.rejects(joinOn(next(), created, "p0"), refusal("SESSION_FAILED"));
  });
});
