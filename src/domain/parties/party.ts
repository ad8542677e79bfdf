import type { PartyRole, SessionRecord } from "../sessions/session.ts";

/** How an offline party is told that something waits for it. Empty strings are unset. */
export interface NotificationChannel {
  readonly email: string;
  readonly phone: string;
  readonly pushToken: string;
}

/** A registration. Contacts are kept sealed in the secret store; `offlineMode` says that there are some. */
export interface Party {
  readonly partyId: string;
  readonly role: PartyRole;
  readonly version: string;
  readonly offlineMode: boolean;
  /** Unix milliseconds of the first registration. */
  readonly registeredAt: number;
  /** Unix milliseconds of the last one, which counts as seen. */
  readonly renewedAt: number;
}

export interface PartyStore {
  /** Read from the leader. */
  read(partyId: string): Promise<Party | undefined>;
  /**
   * Creates or updates atomically: `change` gets the registration there is and may run more than once. Durable when it
   * resolves.
   */
  upsert(partyId: string, change: (known: Party | undefined) => Party): Promise<Party>;
  /** All registrations, also those made a moment ago on another instance. */
  all(): Promise<readonly Party[]>;
}

/** When parties were last seen, over all instances. */
export interface Presence {
  /**
   * Notes a sign of life. Free when the party was noted a moment ago; resolves when other instances can see the party
   * online.
   */
  seen(partyId: string): Promise<void>;
  /** Unix milliseconds of the last sign of life on any instance; 0 when unknown or long ago. */
  lastSeenAt(partyIds: readonly string[]): Promise<ReadonlyMap<string, number>>;
}

/** The sessions of a party. */
export interface PartySessions {
  /** Sessions of the party that live now, those included that another instance made a moment ago. */
  liveSessionsOf(partyId: string): Promise<readonly SessionRecord[]>;
  /** Sessions of the party that live or ended within the last 24 hours, likewise. */
  recentSessionsOf(partyId: string): Promise<readonly SessionRecord[]>;
}

/** Counts the mail that waits. */
export interface PendingCounter {
  /** Messages to this party in these sessions that are neither acknowledged nor failed. */
  count(partyId: string, sessionIds: readonly string[]): Promise<number>;
}
