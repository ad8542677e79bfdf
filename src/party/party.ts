import type { Transport } from "@connectrpc/connect";
import type { TokenSource } from "./bearer-token.ts";
import type { PartyError } from "./party-error.ts";
import type { Invitation, PartyEvent } from "./party-event.ts";
import type { PartySession } from "./party-session.ts";
import type { PartyState } from "./router-link.ts";
import type { WaitOptions } from "./wait-options.ts";

export interface PartyOptions {
  /** Made by the caller: gRPC, gRPC-Web or Connect, for Node or for browsers. */
  readonly transport: Transport;
  readonly partyId: string;
  /** Default: temporary. */
  readonly role?: "persistent" | "delegate" | "temporary";
  /** Of the party's software. */
  readonly version?: string;
  /** Any channel set: the party works offline, and is notified of sessions and mail. */
  readonly notification?: NotificationChannel;
  /** Shown to the other parties of a session. */
  readonly device?: DeviceInfo;
  /** Gives the bearer token; asked again before it is old, and when it was refused. */
  readonly token?: TokenSource;
  /** Closes the party when it aborts. */
  readonly signal?: AbortSignal;
  /** Default 15,000. */
  readonly heartbeatMs?: number;
  /**
   * "one" (default): while the messages of a session are read, events wait; for browsers, which open six connections to a host.
   * "many": events come in at any time.
   */
  readonly streams?: "one" | "many";
  /** For user interfaces: hears every change, and why the router was not reached. */
  readonly onState?: (state: PartyState, cause?: PartyError) => void;
}

export interface NotificationChannel {
  readonly email?: string;
  readonly phone?: string;
  readonly pushToken?: string;
}

export interface DeviceInfo {
  readonly deviceType?: string;
  readonly deviceId?: string;
  readonly platform?: string;
  readonly appVersion?: string;
}

/** What a party went through without failing. */
export interface PartyFaults {
  /** Calls made again after a transient failure. */
  readonly retries: number;
  /** Streams opened again. */
  readonly reconnects: number;
  /** Copies of messages that were handed out already. */
  readonly duplicates: number;
  /** Changes of a session's status that were found out by asking, since their event did not come in time. */
  readonly missedEvents: number;
}

/** A registered party, which keeps itself alive until it is closed. */
export interface Party extends AsyncDisposable {
  readonly partyId: string;
  readonly faults: PartyFaults;

  /** Sessions that want this party, each once, but for those that have ended. Shares them with {@link nextSession}. */
  sessions(options?: WaitOptions): AsyncIterableIterator<Invitation>;

  /** The next session that wants this party, or that one. */
  nextSession(
    options?: WaitOptions & { readonly sessionId?: string | undefined },
  ): Promise<Invitation>;

  /** Events of live sessions so far, then what comes; each once. Default: of all types. */
  events(
    options?: WaitOptions & { readonly types?: readonly string[] },
  ): AsyncIterableIterator<PartyEvent>;

  /** Joins a session, also again after a crash. Rejects when it is refused or the session has ended. */
  join(
    invitation: Pick<Invitation, "sessionId" | "joinToken">,
    options?: WaitOptions,
  ): Promise<PartySession>;

  /** A sign of life besides those that are sent anyway. */
  heartbeat(options?: WaitOptions): Promise<HeartbeatAnswer>;

  /** Closes all sessions here and ends all that is under way; the router keeps everything. Again is fine. */
  close(): Promise<void>;
}

export interface HeartbeatAnswer {
  /** Messages of all live sessions that are not acknowledged. */
  readonly pendingMessages: number;
  /** Unix milliseconds. */
  readonly serverTimestamp: number;
}
