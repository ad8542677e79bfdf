import type { LifecycleType } from "../sessions/outside-transition.ts";
import type { SessionRecord } from "../sessions/session.ts";

/** What session events need to know of sessions, and may ask the coordinator to do. */
export interface SessionDirectory {
  /** The record of a session that lives or ended within 24 hours; read from the leader before it says there is none. */
  find(sessionId: string): Promise<SessionRecord | undefined>;
  /** The party's own join token; `undefined` when it has none any more. */
  joinTokenFor(record: SessionRecord, partyId: string): Promise<string | undefined>;
  /** The user's share lent for this signing; `undefined` when it is erased. */
  lentShareFor(record: SessionRecord): Promise<Uint8Array | undefined>;
  /**
   * Creates the session an outside coordinator announces. Resolves once session and event are durable; the same event
   * again resolves too. Refuses with INVALID_FIELD, EVENT_EXISTS, SESSION_EXISTS or TOO_MANY_SESSIONS.
   */
  createFromEvent(creation: OutsideCreation): Promise<void>;
  /**
   * Makes the transition an outside coordinator reports, or refuses it. Resolves once record and event are durable; the
   * same event again resolves too.
   */
  applyLifecycleEvent(sessionId: string, change: OutsideChange): Promise<void>;
}

/** A published session_created. */
export interface OutsideCreation {
  readonly eventId: string;
  /** Hash of the event as it was published. */
  readonly contentHash: string;
  /** Name of the coordinator that published it. */
  readonly createdBy: string;
  readonly sessionId: string;
  readonly thresholdN: number;
  readonly thresholdT: number;
  readonly selectedParties: readonly string[];
  readonly joinTokens: ReadonlyMap<string, string>;
  readonly messageHash: Uint8Array;
  /** Unix milliseconds. */
  readonly createdAt: number;
  /** Unix milliseconds; 0 when the event does not say. */
  readonly expiresAt: number;
  /** Empty unless it names the session that made the key. */
  readonly keygenSessionId: string;
  readonly delegateUserShare?: LentUserShare;
}

interface LentUserShare {
  readonly delegatePartyId: string;
  readonly encryptedShare: Uint8Array;
  readonly partyIndex: number;
}

export interface OutsideChange {
  readonly type: LifecycleType;
  readonly eventId: string;
  readonly contentHash: string;
  /** Unix milliseconds. */
  readonly at: number;
}
