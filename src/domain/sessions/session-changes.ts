import type {
  DelegateShare,
  FailureWord,
  SessionParty,
  SessionRecord,
  Transition,
} from "./session.ts";

const nothing = new Uint8Array();

/** The record with fields replaced and decisions appended; never changes the one given. */
export function decided(
  record: SessionRecord,
  changes: Partial<SessionRecord>,
  transitions: readonly Transition[],
): SessionRecord {
  return { ...record, ...changes, transitions: [...record.transitions, ...transitions] };
}

/** The roster with one seat changed. */
export function withSeat(
  record: SessionRecord,
  partyId: string,
  change: Partial<SessionParty>,
): readonly SessionParty[] {
  return record.parties.map((party) =>
    party.partyId === partyId ? { ...party, ...change } : party,
  );
}

/** Name and content hash of an event that an outside coordinator published. */
export interface OutsideName {
  readonly eventId: string;
  readonly contentHash: string;
}

export interface Failure {
  /** When the session ended, Unix milliseconds. */
  readonly nowMs: number;
  readonly word: FailureWord;
  readonly reason: string;
  /** Where an outside coordinator published the event: its name, and its time. */
  readonly outside?: OutsideName & { readonly at: number };
}

export function failed(record: SessionRecord, failure: Failure): SessionRecord {
  const { nowMs, word, reason, outside } = failure;
  return decided(
    record,
    {
      status: "failed",
      failureReason: reason,
      endedAt: nowMs,
      delegateShare: lostShare(record.delegateShare),
    },
    [{ at: nowMs, ...outside, type: "session_failed", word }],
  );
}

/**
 * Failed because two parties reported different values: neither of them is the session's result. The key that a
 * signature was to be made with is no reported value.
 */
export function disagreed(record: SessionRecord, nowMs: number): SessionRecord {
  const word = record.type === "keygen" ? "public_key_mismatch" : "signature_mismatch";
  return {
    ...failed(record, { nowMs, word, reason: word }),
    ...(record.type === "keygen" ? { publicKey: nothing } : { signature: nothing }),
  };
}

/** What becomes of the user's share when its key was not made: it is erased, or will never come. */
export function lostShare(share: DelegateShare): DelegateShare {
  if (share.state === "awaited") return { state: "none" };
  return share.state === "none" ? share : { ...share, state: "erased" };
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
