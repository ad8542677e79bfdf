export type SessionType = "keygen" | "sign";
export type SessionStatus = "created" | "in_progress" | "completed" | "failed" | "expired";
type PartyState = "selected" | "joined" | "ready" | "completed";
export type PartyRole = "persistent" | "delegate" | "temporary";
type DelegateShareState = "none" | "awaited" | "stored" | "taken" | "erased";

export interface DeviceInfo {
  readonly deviceType: string;
  readonly deviceId: string;
  readonly platform: string;
  readonly appVersion: string;
}

/** One seat of a session's roster, and how far its party got. */
export interface SessionParty {
  readonly partyId: string;
  /** Position in the roster from 0; in a sign session that names its keygen session, that session's index. */
  readonly partyIndex: number;
  readonly role: PartyRole;
  readonly state: PartyState;
  readonly deviceInfo?: DeviceInfo;
  /** Unix milliseconds of the last change of `state`. */
  readonly updatedAt: number;
  /** What the party reported: a public key (keygen) or a signature (sign). */
  readonly reported?: Uint8Array;
}

/** What is known of the user's share on its way from the delegate to the user; never the share itself. */
export interface DelegateShare {
  readonly state: DelegateShareState;
  /** The delegate's seat; absent when the state is `none`. */
  readonly partyId?: string;
  /** Hash of what was submitted, to tell a repeat from another share. */
  readonly contentHash?: string;
  readonly publicKey?: Uint8Array;
  readonly submittedAt?: number;
  readonly takeId?: string;
  readonly takenAt?: number;
}

/** Words that say why a session failed; part of the event's id. */
export type FailureWord = "cancelled" | "public_key_mismatch" | "signature_mismatch" | "reported";

/**
 * A decided change of a session, from which its event follows. The record lists them in the order of the decisions.
 * `eventId` is set where an outside coordinator named the event; otherwise the id is derived (session-event.ts).
 */
export type Transition = {
  /** Unix milliseconds: the event's `created_at`. */
  readonly at: number;
  readonly eventId?: string;
  /** Hash of the event as its publisher gave it, to tell a repeat from another event of the same id. */
  readonly contentHash?: string;
} & (
  | {
      readonly type:
        "session_created" | "session_started" | "session_completed" | "session_expired";
    }
  | {
      readonly type: "party_joined" | "party_ready" | "party_completed";
      readonly partyIndex: number;
    }
  | { readonly type: "session_failed"; readonly word: FailureWord }
);

/** The record of a session: its one truth, changed by compare-and-set only. It holds no secret. */
export interface SessionRecord {
  readonly sessionId: string;
  readonly type: SessionType;
  readonly status: SessionStatus;
  /** Shares of the key. */
  readonly thresholdN: number;
  /** Parties needed to sign: 2-of-3 has 2. */
  readonly thresholdT: number;
  /** In the order of `selected_parties`, frozen at creation. */
  readonly parties: readonly SessionParty[];
  /** Sign sessions only; else empty. */
  readonly messageHash: Uint8Array;
  /** Keygen: from the first report on. Sign: the key of the keygen session, when one is named. */
  readonly publicKey: Uint8Array;
  /** Sign: from the first report on. */
  readonly signature: Uint8Array;
  /** Empty unless failed. */
  readonly failureReason: string;
  /** Empty unless a sign session names the session that made its key. */
  readonly keygenSessionId: string;
  readonly delegateShare: DelegateShare;
  /** Party that gets the user's lent share inside its session_created (sign sessions). */
  readonly lentShareTo?: { readonly partyId: string; readonly partyIndex: number };
  /** The user's public encryption key (keygen with a delegate), carried in the delegate's join token. */
  readonly userPublicKey?: Uint8Array;
  readonly createdAt: number;
  readonly expiresAt: number;
  /** 0 while not terminal. */
  readonly endedAt: number;
  /** Key the session's tokens and message ids are derived with. */
  readonly keyId: string;
  /** `derived`: from the router key; `sealed`: given by an outside coordinator, kept in the secret store. */
  readonly tokens: "derived" | "sealed";
  /** Name of the coordinator that created it; nobody's, in records of older routers. Not for parties to see. */
  readonly createdBy?: string;
  /** Hash of the request that created it, to tell a repeat from another request of the same id. */
  readonly requestHash: string;
  readonly transitions: readonly Transition[];
  /** How many of `transitions` have their event stored; it may lag, never lead. */
  readonly publishedCount: number;
}

/** A record with the revision its next compare-and-set must name. */
export interface StoredSession {
  readonly record: SessionRecord;
  readonly revision: number;
}

/** How long an ended session answers, its mail is kept and a completed delegate share waits: 24 hours. */
export const retentionMs: number = 24 * 3_600_000;

export function isTerminal(status: SessionStatus): boolean {
  return status === "completed" || status === "failed" || status === "expired";
}

/** The status at this moment: expiry is judged by the record's time, not by when somebody wrote it down. */
export function statusAt(record: SessionRecord, nowMs: number): SessionStatus {
  return !isTerminal(record.status) && nowMs >= record.expiresAt ? "expired" : record.status;
}

/** When the session ended, or 0 while it lives. */
export function endedAt(record: SessionRecord, nowMs: number): number {
  if (isTerminal(record.status)) return record.endedAt;
  return nowMs >= record.expiresAt ? record.expiresAt : 0;
}

export function seatOf(record: SessionRecord, partyId: string): SessionParty | undefined {
  return record.parties.find((party) => party.partyId === partyId);
}

export function hasJoined(party: SessionParty): boolean {
  return party.state !== "selected";
}
