import { RouterError } from "../errors.ts";
import { requireLive, seatIn } from "./session-access.ts";
import { sameBytes } from "./session-changes.ts";
import { requireInProgress } from "./session-state.ts";
import { endedAt, retentionMs, statusAt, type SessionRecord } from "./session.ts";

/** A submitted share without the share: that lies in the secret store, by its content hash. */
export interface ShareSubmission {
  readonly partyId: string;
  readonly partyIndex: number;
  readonly publicKey: Uint8Array;
  /** Hash of everything that was submitted. */
  readonly contentHash: string;
}

export function submitted(
  record: SessionRecord,
  submission: ShareSubmission,
  nowMs: number,
): SessionRecord {
  const { partyId, partyIndex, publicKey, contentHash } = submission;
  const { party } = seatIn(record, partyId, nowMs);
  if (party.role !== "delegate") {
    throw new RouterError("NOT_THE_DELEGATE", "party_id must be a delegate of the session");
  }
  if (partyIndex !== party.partyIndex) {
    throw new RouterError("INVALID_FIELD", "party_index must be the party's index in the session");
  }
  const known = record.delegateShare;
  if (known.contentHash === contentHash) return record;
  if (known.contentHash !== undefined) {
    throw new RouterError("DELEGATE_SHARE_DIFFERS", "another share was submitted before");
  }
  if (record.type !== "keygen") {
    throw new RouterError("TRANSITION_NOT_ALLOWED", "a share is made in a keygen session only");
  }
  requireInProgress(record, nowMs);
  if (record.publicKey.length > 0 && !sameBytes(record.publicKey, publicKey)) {
    throw new RouterError("PUBLIC_KEY_DIFFERS", "public_key must be the one that was reported");
  }
  return {
    ...record,
    delegateShare: { state: "stored", partyId, contentHash, publicKey, submittedAt: nowMs },
  };
}

/** Hands the share out, to one take id only. */
export function taken(record: SessionRecord, takeId: string, nowMs: number): SessionRecord {
  const share = record.delegateShare;
  const status = statusAt(record, nowMs);
  if (status === "failed" || status === "expired") requireLive(record, nowMs);
  if (share.state === "none" || share.state === "erased" || nowMs >= eraseAt(record, nowMs)) {
    throw shareNotFound();
  }
  if (status !== "completed") {
    throw new RouterError("TRANSITION_NOT_ALLOWED", "the session has not completed");
  }
  if (share.takeId === takeId) return record;
  requireTakeId(share.takeId, undefined);
  return { ...record, delegateShare: { ...share, state: "taken", takeId, takenAt: nowMs } };
}

/** The user holds the share: what is left of it here is to be erased. */
export function confirmed(record: SessionRecord, takeId: string, nowMs: number): SessionRecord {
  const share = record.delegateShare;
  const status = statusAt(record, nowMs);
  if (status === "failed" || status === "expired") requireLive(record, nowMs);
  if (share.takeId === undefined) {
    if (share.state !== "stored" && share.state !== "awaited") throw shareNotFound();
    throw new RouterError("TRANSITION_NOT_ALLOWED", "the share has not been taken");
  }
  requireTakeId(share.takeId, takeId);
  if (share.state === "erased") return record;
  return { ...record, delegateShare: { ...share, state: "erased" } };
}

/** When an unconfirmed share is erased, Unix milliseconds; without end while the session lives. */
export function eraseAt(record: SessionRecord, nowMs: number): number {
  const end = endedAt(record, nowMs);
  return end === 0 ? Number.POSITIVE_INFINITY : end + retentionMs;
}

export function shareNotFound(): RouterError {
  return new RouterError("DELEGATE_SHARE_NOT_FOUND", "there is no share to take");
}

function requireTakeId(known: string | undefined, given: string | undefined): void {
  if (known !== given) {
    throw new RouterError("DELEGATE_SHARE_TAKEN", "the share was taken with another take_id");
  }
}
