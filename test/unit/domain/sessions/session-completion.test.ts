import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { submitted } from "../../../../src/domain/sessions/delegate-share.ts";
import {
  areAllCompleted,
  disagreementOf,
  reported,
} from "../../../../src/domain/sessions/session-completion.ts";
import { cancelled } from "../../../../src/domain/sessions/session-state.ts";
import { aRecord, aRunningRecord, refusal, startMs } from "./session-records.ts";

const nowMs = startMs + 1_000;
const none = new Uint8Array();
const key = new Uint8Array([2, 1, 1]);
const otherKey = new Uint8Array([3, 9, 9]);

function keyOf(partyId: string, publicKey = key): Parameters<typeof reported>[1] {
  return { partyId, publicKey, signature: none };
}

describe("reporting completion", () => {
  it("shows the value from the first report on, and completes with the last", () => {
    const one = reported(aRunningRecord(), keyOf("p0"), nowMs);
    assert.deepEqual(one.publicKey, key);
    assert.equal(one.status, "in_progress");
    const two = reported(one, keyOf("p1"), nowMs);
    assert.equal(areAllCompleted(two), false);
    const all = reported(two, keyOf("p2"), nowMs + 3);
    assert.equal(all.status, "completed");
    assert.equal(all.endedAt, nowMs + 3);
    assert.equal(areAllCompleted(all), true);
    assert.deepEqual(all.transitions.slice(-2), [
      { type: "party_completed", at: nowMs + 3, partyIndex: 2 },
      { type: "session_completed", at: nowMs + 3 },
    ]);
  });

  it("takes the signature of a sign session", () => {
    const report = { partyId: "p0", publicKey: none, signature: key };
    const record = reported(aRunningRecord({ type: "sign" }), report, nowMs);
    assert.deepEqual(record.signature, key);
    assert.equal(record.publicKey.length, 0);
  });

  it("changes nothing when it is repeated, also after the end", () => {
    const one = reported(aRunningRecord(), keyOf("p0"), nowMs);
    assert.equal(reported(one, keyOf("p0"), nowMs), one);
    const failed = cancelled(one, "", nowMs);
    assert.equal(reported(failed, keyOf("p0"), nowMs), failed);
    assert.equal(reported(one, keyOf("p0"), startMs + 60_000), one);
  });

  it("refuses another value of the same party", () => {
    const one = reported(aRunningRecord(), keyOf("p0"), nowMs);
    assert.throws(() => reported(one, keyOf("p0", otherKey), nowMs), refusal("REPORT_DIFFERS"));
  });

  it("refuses a report without the value, or one that is too long", () => {
    const record = aRunningRecord();
    const empty = { partyId: "p0", publicKey: none, signature: key };
    assert.throws(() => reported(record, empty, nowMs), refusal("INVALID_FIELD"));
    const long = keyOf("p0", new Uint8Array(1_025));
    assert.throws(() => reported(record, long, nowMs), refusal("INVALID_FIELD"));
    const sign = aRunningRecord({ type: "sign" });
    assert.throws(() => reported(sign, keyOf("p0"), nowMs), refusal("INVALID_FIELD"));
  });

  it("refuses a session that has not started, or has ended", () => {
    const created = aRecord();
    assert.throws(() => reported(created, keyOf("p0"), nowMs), refusal("SESSION_NOT_IN_PROGRESS"));
    const running = aRunningRecord();
    const failed = cancelled(running, "", nowMs);
    assert.throws(() => reported(failed, keyOf("p0"), nowMs), refusal("SESSION_FAILED"));
    assert.throws(
      () => reported(running, keyOf("p0"), startMs + 60_000),
      refusal("SESSION_EXPIRED"),
    );
    assert.throws(() => reported(running, keyOf("p9"), nowMs), refusal("SESSION_NOT_FOUND"));
  });
});

describe("disagreement", () => {
  it("fails the session, clears the value, and tells the party that brought it, again too", () => {
    const one = reported(aRunningRecord(), keyOf("p0"), nowMs);
    const failed = reported(one, keyOf("p1", otherKey), nowMs + 1);
    assert.equal(failed.status, "failed");
    assert.equal(failed.failureReason, "public_key_mismatch");
    assert.equal(failed.publicKey.length, 0);
    assert.deepEqual(failed.transitions.at(-1), {
      type: "session_failed",
      at: nowMs + 1,
      word: "public_key_mismatch",
    });
    assert.equal(disagreementOf(failed, "p1"), "PUBLIC_KEY_MISMATCH");
    assert.equal(disagreementOf(failed, "p0"), undefined);
    assert.equal(disagreementOf(failed, "p2"), undefined);
    assert.equal(reported(failed, keyOf("p1", otherKey), nowMs + 2), failed);
    assert.equal(reported(failed, keyOf("p0"), nowMs + 2), failed);
    assert.throws(() => reported(failed, keyOf("p2"), nowMs + 2), refusal("SESSION_FAILED"));
  });

  it("is told of signatures likewise", () => {
    const record = aRunningRecord({ type: "sign" });
    const one = reported(record, { partyId: "p0", publicKey: none, signature: key }, nowMs);
    const other = { partyId: "p1", publicKey: none, signature: otherKey };
    const failed = reported(one, other, nowMs);
    assert.equal(failed.failureReason, "signature_mismatch");
    assert.equal(failed.signature.length, 0);
    assert.equal(disagreementOf(failed, "p1"), "SIGNATURE_MISMATCH");
  });

  it("is met too when the delegate's share is of another key", () => {
    const running = aRunningRecord({ roles: ["persistent", "delegate"] });
    const share = { partyId: "p1", partyIndex: 1, publicKey: otherKey, contentHash: "c" };
    const stored = submitted(running, share, nowMs);
    const failed = reported(stored, keyOf("p0"), nowMs);
    assert.equal(failed.status, "failed");
    assert.equal(failed.delegateShare.state, "erased");
  });
});
