import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  isLifecycleType,
  movedFromOutside,
  type LifecycleType,
  type OutsideTransition,
} from "../../../../src/domain/sessions/outside-transition.ts";
import { cancelled } from "../../../../src/domain/sessions/session-state.ts";
import { aRecord, aRunningRecord, refusal, startMs } from "./session-records.ts";

const nowMs = startMs + 1_000;

function anEvent(type: LifecycleType, eventId = "outside-1"): OutsideTransition {
  return { type, eventId, contentHash: "content-1", at: startMs + 900 };
}

describe("an outside coordinator's lifecycle event", () => {
  it("moves the session under its own name and time", () => {
    const failed = movedFromOutside(aRunningRecord(), anEvent("session_failed"), nowMs);
    assert.equal(failed.status, "failed");
    assert.equal(failed.failureReason, "reported");
    assert.equal(failed.endedAt, nowMs);
    assert.deepEqual(failed.transitions.at(-1), {
      type: "session_failed",
      word: "reported",
      eventId: "outside-1",
      contentHash: "content-1",
      at: startMs + 900,
    });
    const reported = { ...aRunningRecord(), publicKey: new Uint8Array([1]) };
    const done = movedFromOutside(reported, anEvent("session_completed"), nowMs);
    assert.equal(done.status, "completed");
    const over = movedFromOutside(aRecord(), anEvent("session_expired"), nowMs);
    assert.equal(over.status, "expired");
    const started = movedFromOutside(aRecord(), anEvent("session_started"), nowMs);
    assert.equal(started.status, "in_progress");
  });

  it("changes nothing when it comes again, and refuses other content under its id", () => {
    const once = movedFromOutside(aRunningRecord(), anEvent("session_failed"), nowMs);
    assert.equal(movedFromOutside(once, anEvent("session_failed"), nowMs + 5), once);
    const other = { ...anEvent("session_failed"), contentHash: "content-2" };
    assert.throws(() => movedFromOutside(once, other, nowMs), refusal("EVENT_EXISTS"));
  });

  it("refuses to complete a session of which nobody has reported a result", () => {
    assert.throws(
      () => movedFromOutside(aRunningRecord(), anEvent("session_completed"), nowMs),
      refusal("TRANSITION_NOT_ALLOWED"),
    );
  });

  it("refuses a transition that the session cannot make", () => {
    const second = anEvent("session_started", "outside-2");
    assert.throws(
      () => movedFromOutside(aRunningRecord(), second, nowMs),
      refusal("TRANSITION_NOT_ALLOWED"),
    );
    assert.throws(
      () => movedFromOutside(aRecord(), anEvent("session_completed"), nowMs),
      refusal("SESSION_NOT_IN_PROGRESS"),
    );
    const failed = cancelled(aRecord(), "", nowMs);
    assert.throws(
      () => movedFromOutside(failed, anEvent("session_failed"), nowMs),
      refusal("SESSION_FAILED"),
    );
    assert.throws(
      () => movedFromOutside(aRecord(), anEvent("session_failed"), startMs + 60_000),
      refusal("SESSION_EXPIRED"),
    );
    const owed = aRunningRecord({
      roles: ["persistent", "delegate"],
      userPublicKey: new Uint8Array(32),
    });
    assert.throws(
      () => movedFromOutside(owed, anEvent("session_completed"), nowMs),
      refusal("DELEGATE_SHARE_MISSING"),
    );
  });

  it("is one of four types", () => {
    assert.equal(isLifecycleType("session_failed"), true);
    for (const type of ["session_created", "party_ready", "message_failed", "", "other"]) {
      assert.equal(isLifecycleType(type), false);
    }
  });
});
