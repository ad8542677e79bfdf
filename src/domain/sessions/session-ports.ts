import type { SessionRecord, StoredSession } from "./session.ts";

/** Where session records live. */
export interface SessionStore {
  /**
   * The record as this instance last heard of it: free, but possibly stale. It may allow a call, never refuse one.
   * `undefined`: not known here.
   */
  cached(sessionId: string): StoredSession | undefined;
  /** The record as it stands, read from the leader; `undefined`: there is none (never was, or 24 h after its end). */
  read(sessionId: string): Promise<StoredSession | undefined>;
  /** Creates the record unless one exists; resolves with the stored one either way. Durable when it resolves. */
  create(
    record: SessionRecord,
  ): Promise<{ readonly created: boolean; readonly stored: StoredSession }>;
  /** Replaces the revision named, durably; `undefined` when somebody else was first. */
  replace(stored: StoredSession, record: SessionRecord): Promise<StoredSession | undefined>;
  /** Removes a record whose time is over. */
  remove(stored: StoredSession): Promise<void>;
  /** All records in the bucket (live, or ended within 24 h), as this instance last heard. */
  all(): Iterable<StoredSession>;
  /** Resolves once the cache holds everything that was stored before the call. */
  catchUp(): Promise<void>;
  /** Called with every record that is new or changed, also by other instances. Returns the way to stop. */
  onChange(listener: (stored: StoredSession) => void): () => void;
  /** Keeps a completed keygen session without limit; durable when it resolves. Idempotent. */
  keep(record: SessionRecord): Promise<void>;
  /** A kept keygen session. */
  kept(sessionId: string): Promise<SessionRecord | undefined>;
  /**
   * All kept keygen sessions, or those kept before a place, in pieces of some hundred at most; the one kept last comes
   * first.
   */
  keptBefore(place?: number): AsyncIterable<readonly KeptSession[]>;
}

export interface KeptSession {
  readonly record: SessionRecord;
  /** Grows with each session that is kept. */
  readonly place: number;
}

/** Counts a caller's wrong join tokens, over all instances. */
export interface JoinMissCounter {
  /** Misses of this caller in this session in the last 60 s. */
  count(sessionId: string, callerId: string): Promise<number>;
  /** Adds one, and resolves with the new count. */
  add(sessionId: string, callerId: string): Promise<number>;
}
