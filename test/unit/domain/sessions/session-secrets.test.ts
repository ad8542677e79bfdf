import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  requestSecretId,
  secretFate,
  secretId,
  sessionOfSecret,
  type SessionSecretKind,
} from "../../../../src/domain/sessions/session-secrets.ts";
import { retentionMs, type SessionRecord } from "../../../../src/domain/sessions/session.ts";
import { aRecord, startMs } from "./session-records.ts";

const nowMs = startMs + 1_000;
const contentHash = "b".repeat(64);

interface Place {
  readonly kind: SessionSecretKind;
  readonly id: string;
}

function fateOf(place: Place, record: SessionRecord | undefined, at = nowMs): string {
  return secretFate(place, record, at);
}

describe("the fate of a session's secret", () => {
  it("is to be needed while the session lives, then due", () => {
    const live: SessionRecord = {
      ...aRecord(),
      tokens: "sealed",
      lentShareTo: { partyId: "p0", partyIndex: 0 },
    };
    const id = requestSecretId(live);
    const ended: SessionRecord = { ...live, status: "completed", endedAt: nowMs };
    for (const kind of ["tokens", "lent"] as const) {
      assert.equal(fateOf({ kind, id }, live), "needed");
      assert.equal(fateOf({ kind, id }, ended), "due");
      assert.equal(fateOf({ kind, id }, live, live.expiresAt), "due");
    }
  });

  it("is to be an orphan where no record names it yet", () => {
    const live = aRecord();
    assert.equal(fateOf({ kind: "tokens", id: requestSecretId(live) }, undefined), "orphan");
    assert.equal(fateOf({ kind: "tokens", id: requestSecretId(live) }, live), "orphan");
    const offered = secretId(live.sessionId, contentHash);
    assert.equal(fateOf({ kind: "share", id: offered }, live), "orphan");
    assert.equal(
      fateOf({ kind: "share", id: offered }, { ...live, status: "failed", endedAt: nowMs }),
      "due",
    );
  });

  it("is to wait a day for the user's share of a completed session", () => {
    const id = secretId("session-1", contentHash);
    const stored: SessionRecord = {
      ...aRecord(),
      status: "completed",
      endedAt: nowMs,
      delegateShare: { state: "stored", contentHash },
    };
    assert.equal(fateOf({ kind: "share", id }, stored), "needed");
    assert.equal(fateOf({ kind: "share", id }, stored, nowMs + retentionMs), "due");
    const erased: SessionRecord = { ...stored, delegateShare: { state: "erased", contentHash } };
    assert.equal(fateOf({ kind: "share", id }, erased), "due");
    assert.equal(fateOf({ kind: "share", id }, { ...stored, status: "failed" }), "due");
    const other = secretId("session-1", "c".repeat(64));
    assert.equal(fateOf({ kind: "share", id: other }, stored), "due");
  });

  it("is found by an id that says its session", () => {
    assert.equal(sessionOfSecret(secretId("a-b_c-", contentHash)), "a-b_c-");
  });
});
