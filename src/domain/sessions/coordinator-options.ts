import type { Clock, Randomness } from "../clock.ts";
import type { EventStore } from "../events/event-ports.ts";
import type { PartyStore, Presence } from "../parties/party.ts";
import type { Keyring } from "../secrets/keyring.ts";
import type { JoinMissCounter, SessionStore } from "./session-ports.ts";
import type { SecretStore } from "../secrets/secret-ports.ts";

/** Fields carry ids, counts and causes (`err`); never tokens or shares. */
export interface SessionLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** What the embedded coordinator is made of. */
export interface CoordinatorOptions {
  readonly sessions: SessionStore;
  readonly secrets: SecretStore;
  readonly joinMisses: JoinMissCounter;
  readonly keyring: Keyring;
  readonly events: Pick<EventStore, "append">;
  readonly parties: Pick<PartyStore, "read" | "all">;
  readonly presence: Pick<Presence, "lastSeenAt">;
  /** Whether any mail of this session is still stored; an outside coordinator's session must not find old mail. */
  readonly hasMail: (sessionId: string) => Promise<boolean>;
  /** Removes everything the other rooms hold of a session, before its record goes. May be called more than once. */
  readonly forgetSession: (sessionId: string) => Promise<void>;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly log: SessionLog;
  /** Lifetime of a session whose creator names none, in milliseconds. */
  readonly defaultTtlMs: number;
  /** Live sessions that one coordinator may have. */
  readonly maxSessionsPerCoordinator: number;
  /** Time without a sign of life after which a party is offline, in milliseconds. */
  readonly presenceTimeoutMs: number;
}
