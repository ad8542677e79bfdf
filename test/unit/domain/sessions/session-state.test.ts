import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  cancelled,
  expired,
  joined,
  markedReady,
} from "../../../../src/domain/sessions/session-state.ts";
import type { SessionRecord } from "../../../../src/domain/sessions/session.ts";
import { aRecord, aRunningRecord, device, refusal, startMs, typesOf } from "./session-records.ts";

const nowMs = startMs + 1_000;

function allJoined(): SessionRecord {
  return aRecord().parties.reduce(
    (record, { partyId }) => joined(record, { partyId, deviceInfo: device }, nowMs),
    aRecord(),
  );
}

describe("joining", () => {
  it("takes the party in with its device and one transition", () => {
    const record = joined(aRecord(), { partyId: "p1", deviceInfo: device }, nowMs);
    assert.deepEqual(record.parties[1], {
      partyId: "p1",
      partyIndex: 1,
      role: "persistent",
      state: "joined",
      deviceInfo: device,
      updatedAt: nowMs,
    });
    assert.deepEqual(record.transitions[1], { type: "party_joined", at: nowMs, partyIndex: 1 });
  });

  it("changes nothing when it is repeated, also after the start", () => {
    const once = joined(aRecord(), { partyId: "p1", deviceInfo: device }, nowMs);
    assert.equal(joined(once, { partyId: "p1", deviceInfo: { ...device } }, nowMs + 1), once);
    const running = aRunningRecord();
    assert.equal(joined(running, { partyId: "p1", deviceInfo: device }, nowMs), running);
  });

  it("notes another device of a party that comes back, without another transition", () => {
    const once = joined(aRecord(), { partyId: "p1", deviceInfo: device }, nowMs);
    const other = { ...device, deviceId: "d-2" };
    const again = joined(once, { partyId: "p1", deviceInfo: other }, nowMs + 1);
    assert.equal(again.parties[1]?.deviceInfo?.deviceId, "d-2");
    assert.equal(again.parties[1]?.updatedAt, nowMs);
    assert.equal(again.transitions, once.transitions);
  });

  it("refuses who is not of the session, and a session that has ended", () => {
    const stranger = { partyId: "p9", deviceInfo: device };
    assert.throws(() => joined(aRecord(), stranger, nowMs), refusal("SESSION_NOT_FOUND"));
    const member = { partyId: "p0", deviceInfo: device };
    const ended = cancelled(aRecord(), "", nowMs);
    assert.throws(() => joined(ended, member, nowMs), refusal("SESSION_FAILED"));
    assert.throws(() => joined(aRecord(), member, startMs + 60_000), refusal("SESSION_EXPIRED"));
  });
});

describe("being ready", () => {
  it("starts the session with the last party, in one change", () => {
    const almost = markedReady(markedReady(allJoined(), "p0", nowMs), "p1", nowMs);
    assert.equal(almost.status, "created");
    const started = markedReady(almost, "p2", nowMs + 5);
    assert.equal(started.status, "in_progress");
    assert.deepEqual(started.transitions.slice(-2), [
      { type: "party_ready", at: nowMs + 5, partyIndex: 2 },
      { type: "session_started", at: nowMs + 5 },
    ]);
  });

  it("changes nothing when it is repeated", () => {
    const once = markedReady(allJoined(), "p0", nowMs);
    assert.equal(markedReady(once, "p0", nowMs), once);
    const running = aRunningRecord();
    assert.equal(markedReady(running, "p0", nowMs), running);
  });

  it("refuses a party that has not joined", () => {
    assert.throws(() => markedReady(aRecord(), "p0", nowMs), refusal("NOT_JOINED"));
    assert.throws(() => markedReady(aRecord(), "p9", nowMs), refusal("SESSION_NOT_FOUND"));
  });
});

describe("cancelling", () => {
  it("fails the session with the reason given, or a word", () => {
    const record = cancelled(aRunningRecord(), "user went away", nowMs);
    assert.equal(record.status, "failed");
    assert.equal(record.failureReason, "user went away");
    assert.equal(record.endedAt, nowMs);
    const last = record.transitions.at(-1);
    assert.deepEqual(last, { type: "session_failed", at: nowMs, word: "cancelled" });
    assert.equal(cancelled(aRecord(), "", nowMs).failureReason, "cancelled");
  });

  it("leaves a failed session as it is and refuses one that expired", () => {
    const once = cancelled(aRecord(), "first", nowMs);
    assert.equal(cancelled(once, "second", nowMs + 1), once);
    assert.throws(() => cancelled(aRecord(), "", startMs + 60_000), refusal("SESSION_EXPIRED"));
    const ended = expired(aRecord(), startMs + 60_000);
    assert.throws(() => cancelled(ended, "", startMs + 60_001), refusal("SESSION_EXPIRED"));
  });
});

describe("expiring", () => {
  it("ends the session as of its own time, however late it is written down", () => {
    const record = expired(aRecord(), startMs + 99_000);
    assert.equal(record.status, "expired");
    assert.equal(record.endedAt, startMs + 60_000);
    assert.deepEqual(record.transitions.at(-1), {
      type: "session_expired",
      at: startMs + 60_000,
    });
  });

  it("does nothing before the time, and nothing to what has ended", () => {
    const record = aRecord();
    assert.equal(expired(record, startMs + 59_999), record);
    const failed = cancelled(record, "", nowMs);
    assert.equal(expired(failed, startMs + 99_000), failed);
    const once = expired(record, startMs + 60_000);
    assert.equal(expired(once, startMs + 99_000), once);
  });

  it("gives up the share that was awaited", () => {
    const userPublicKey = new Uint8Array(32);
    const record = aRecord({ roles: ["persistent", "delegate"], userPublicKey });
    assert.equal(record.delegateShare.state, "awaited");
    assert.deepEqual(expired(record, startMs + 60_000).delegateShare, { state: "none" });
  });
});

it("a record lists each decision once, in order", () => {
  assert.deepEqual(typesOf(aRunningRecord({ roles: ["persistent", "persistent"] })), [
    "session_created",
    "party_joined",
    "party_ready",
    "party_joined",
    "party_ready",
    "session_started",
  ]);
});
