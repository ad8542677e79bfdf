import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  confirmed,
  eraseAt,
  submitted,
  taken,
  type ShareSubmission,
} from "../../../../src/domain/sessions/delegate-share.ts";
import { reported } from "../../../../src/domain/sessions/session-completion.ts";
import { cancelled } from "../../../../src/domain/sessions/session-state.ts";
import { retentionMs, type SessionRecord } from "../../../../src/domain/sessions/session.ts";
import { asOf } from "../../../../src/domain/sessions/session-view.ts";
import { aRecord, aRunningRecord, refusal, startMs } from "./session-records.ts";

const nowMs = startMs + 1_000;
const key = new Uint8Array([2, 1, 1]);
const withDelegate = {
  roles: ["persistent", "delegate"],
  userPublicKey: new Uint8Array(32),
} as const;
const submission: ShareSubmission = {
  partyId: "p1",
  partyIndex: 1,
  publicKey: key,
  contentHash: "hash-1",
};

function report(record: SessionRecord, partyId: string): SessionRecord {
  return reported(record, { partyId, publicKey: key, signature: new Uint8Array() }, nowMs);
}

function completedRecord(): SessionRecord {
  return report(report(submitted(aRunningRecord(withDelegate), submission, nowMs), "p0"), "p1");
}

describe("submitting the share", () => {
  it("is owed by the delegate before it may report", () => {
    const running = aRunningRecord(withDelegate);
    assert.deepEqual(running.delegateShare, { state: "awaited", partyId: "p1" });
    assert.throws(() => report(running, "p1"), refusal("DELEGATE_SHARE_MISSING"));
    const stored = submitted(running, submission, nowMs);
    assert.equal(stored.delegateShare.state, "stored");
    assert.equal(report(report(stored, "p0"), "p1").status, "completed");
  });

  it("is possible in any keygen session with a delegate, and only there", () => {
    const running = aRunningRecord({ roles: ["persistent", "delegate"] });
    assert.equal(running.delegateShare.state, "none");
    assert.equal(submitted(running, submission, nowMs).delegateShare.state, "stored");
    const sign = aRunningRecord({ type: "sign", roles: ["persistent", "delegate"] });
    assert.throws(() => submitted(sign, submission, nowMs), refusal("TRANSITION_NOT_ALLOWED"));
  });

  it("changes nothing when it is repeated, also after the end, and refuses another share", () => {
    const stored = submitted(aRunningRecord(withDelegate), submission, nowMs);
    assert.equal(submitted(stored, submission, nowMs + 1), stored);
    const other = { ...submission, contentHash: "hash-2" };
    assert.throws(() => submitted(stored, other, nowMs), refusal("DELEGATE_SHARE_DIFFERS"));
    const done = completedRecord();
    assert.equal(submitted(done, submission, nowMs + 1), done);
    assert.throws(() => submitted(done, other, nowMs), refusal("DELEGATE_SHARE_DIFFERS"));
  });

  it("refuses another role, a wrong index, a session not in progress and another key", () => {
    const running = aRunningRecord(withDelegate);
    const byOther = { ...submission, partyId: "p0", partyIndex: 0 };
    assert.throws(() => submitted(running, byOther, nowMs), refusal("NOT_THE_DELEGATE"));
    const byStranger = { ...submission, partyId: "p9" };
    assert.throws(() => submitted(running, byStranger, nowMs), refusal("SESSION_NOT_FOUND"));
    const wrongIndex = { ...submission, partyIndex: 0 };
    assert.throws(() => submitted(running, wrongIndex, nowMs), refusal("INVALID_FIELD"));
    const created = aRecord(withDelegate);
    assert.throws(() => submitted(created, submission, nowMs), refusal("SESSION_NOT_IN_PROGRESS"));
    const failed = cancelled(running, "", nowMs);
    assert.throws(() => submitted(failed, submission, nowMs), refusal("SESSION_FAILED"));
    const otherKey = { ...submission, publicKey: new Uint8Array([3]) };
    const first = report(running, "p0");
    assert.throws(() => submitted(first, otherKey, nowMs), refusal("PUBLIC_KEY_DIFFERS"));
  });
});

describe("taking the share", () => {
  it("gives it to one take id, again and again, until it is confirmed", () => {
    const first = taken(completedRecord(), "take-1", nowMs);
    assert.equal(first.delegateShare.state, "taken");
    assert.equal(first.delegateShare.takenAt, nowMs);
    assert.equal(taken(first, "take-1", nowMs + 1), first);
    assert.throws(() => taken(first, "take-2", nowMs), refusal("DELEGATE_SHARE_TAKEN"));
    const gone = confirmed(first, "take-1", nowMs);
    assert.equal(gone.delegateShare.state, "erased");
    assert.equal(confirmed(gone, "take-1", nowMs), gone);
    assert.throws(() => confirmed(gone, "take-2", nowMs), refusal("DELEGATE_SHARE_TAKEN"));
    assert.throws(() => taken(gone, "take-1", nowMs), refusal("DELEGATE_SHARE_NOT_FOUND"));
  });

  it("refuses before completion, without a share, and after a day", () => {
    const stored = submitted(aRunningRecord(withDelegate), submission, nowMs);
    assert.throws(() => taken(stored, "take-1", nowMs), refusal("TRANSITION_NOT_ALLOWED"));
    assert.throws(() => taken(aRecord(), "take-1", nowMs), refusal("DELEGATE_SHARE_NOT_FOUND"));
    const done = completedRecord();
    assert.equal(eraseAt(done, nowMs), nowMs + retentionMs);
    const tooLate = nowMs + retentionMs;
    assert.equal(taken(done, "take-1", tooLate - 1).delegateShare.state, "taken");
    assert.throws(() => taken(done, "take-1", tooLate), refusal("DELEGATE_SHARE_NOT_FOUND"));
    assert.equal(asOf(done, tooLate).delegateShare.state, "erased");
  });

  it("refuses where the session failed or expired, which erased it", () => {
    const stored = submitted(aRunningRecord(withDelegate), submission, nowMs);
    const failed = cancelled(stored, "", nowMs);
    assert.equal(failed.delegateShare.state, "erased");
    assert.throws(() => taken(failed, "take-1", nowMs), refusal("SESSION_FAILED"));
    assert.throws(() => taken(stored, "take-1", startMs + 60_000), refusal("SESSION_EXPIRED"));
    assert.equal(asOf(stored, startMs + 60_000).delegateShare.state, "erased");
  });

  it("cannot be confirmed before it is taken", () => {
    const done = completedRecord();
    assert.throws(() => confirmed(done, "take-1", nowMs), refusal("TRANSITION_NOT_ALLOWED"));
    const none = report(aRunningRecord(), "p0");
    assert.throws(() => confirmed(none, "take-1", nowMs), refusal("DELEGATE_SHARE_NOT_FOUND"));
  });
});
