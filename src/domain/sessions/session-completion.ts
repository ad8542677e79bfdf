import { RouterError, type RouterErrorReason } from "../errors.ts";
import { limits, requireBytes } from "../ids.ts";
import { seatIn } from "./session-access.ts";
import { decided, disagreed, sameBytes, withSeat } from "./session-changes.ts";
import { requireInProgress, requireJoinedSeat } from "./session-state.ts";
import { seatOf, type SessionParty, type SessionRecord, type Transition } from "./session.ts";

export interface Report {
  readonly partyId: string;
  readonly publicKey: Uint8Array;
  readonly signature: Uint8Array;
}

/**
 * Takes down what a party says the protocol gave. The last of equal reports completes the session; a different one
 * ends it failed, which {@link disagreementOf} then says of the party that brought it.
 */
export function reported(record: SessionRecord, report: Report, nowMs: number): SessionRecord {
  const { partyId } = report;
  const { party } = seatIn(record, partyId, nowMs);
  const value = resultIn(record, report);
  if (party.reported !== undefined) {
    if (sameBytes(party.reported, value)) return record;
    throw new RouterError("REPORT_DIFFERS", `party ${partyId} has reported another result`);
  }
  requireInProgress(record, nowMs);
  requireJoinedSeat(party);
  requireShareSubmitted(record, partyId);
  const known = knownResult(record);
  if (known.length > 0 && !sameBytes(known, value)) {
    // Its seat is not completed: so a repeat of this report is told the same.
    return disagreed({ ...record, parties: withSeat(record, partyId, { reported: value }) }, nowMs);
  }
  return accepted(record, { party, value }, nowMs);
}

/** Why the party's report ended the session, if it did. */
export function disagreementOf(
  record: SessionRecord,
  partyId: string,
): RouterErrorReason | undefined {
  const party = seatOf(record, partyId);
  if (party?.reported === undefined || party.state === "completed") return undefined;
  return record.type === "keygen" ? "PUBLIC_KEY_MISMATCH" : "SIGNATURE_MISMATCH";
}

/** Whether every party reported, and all the same. */
export function areAllCompleted(record: SessionRecord): boolean {
  return (
    record.status === "completed" && record.parties.every((party) => party.state === "completed")
  );
}

function accepted(
  record: SessionRecord,
  { party, value }: { readonly party: SessionParty; readonly value: Uint8Array },
  nowMs: number,
): SessionRecord {
  const change = { state: "completed", reported: value, updatedAt: nowMs } as const;
  const parties = withSeat(record, party.partyId, change);
  const result = record.type === "keygen" ? { publicKey: value } : { signature: value };
  const one: Transition = { type: "party_completed", at: nowMs, partyIndex: party.partyIndex };
  if (!parties.every((each) => each.state === "completed")) {
    return decided(record, { parties, ...result }, [one]);
  }
  const all: Transition = { type: "session_completed", at: nowMs };
  return decided(record, { parties, ...result, status: "completed", endedAt: nowMs }, [one, all]);
}

function resultIn(record: SessionRecord, report: Report): Uint8Array {
  return record.type === "keygen"
    ? requireBytes("public_key", report.publicKey, limits.resultBytes)
    : requireBytes("signature", report.signature, limits.resultBytes);
}

/** What a report has to agree with. The delegate's share counts as its word, also before it reports. */
function knownResult(record: SessionRecord): Uint8Array {
  if (record.type === "sign") return record.signature;
  if (record.publicKey.length > 0) return record.publicKey;
  return record.delegateShare.publicKey ?? record.publicKey;
}

/** A session must not be completed while the user's share is nowhere. */
function requireShareSubmitted(record: SessionRecord, partyId: string): void {
  const { state, partyId: delegate } = record.delegateShare;
  if (state === "awaited" && delegate === partyId) {
    throw new RouterError(
      "DELEGATE_SHARE_MISSING",
      "the delegate must submit the user's share before it reports",
    );
  }
}
