import type { WaitOptions } from "./wait-options.ts";
import type { SessionEnd, SessionStatus } from "./session-watch.ts";

export interface SessionParty {
  readonly partyId: string;
  readonly partyIndex: number;
}

export interface OutgoingMessage {
  /** From 0. */
  readonly round: number;
  /** Up to 256 bytes. */
  readonly type: string;
  /** Opaque to the router. Up to 1 MiB, or what the router is set to. */
  readonly payload: Uint8Array;
}

/** A message as it is handed to the application: once, however often it was delivered. */
export interface ReceivedMessage {
  readonly messageId: string;
  readonly sessionId: string;
  /** As the router says. Only a sealed channel proves it. */
  readonly from: string;
  readonly isBroadcast: boolean;
  readonly round: number;
  readonly type: string;
  readonly payload: Uint8Array;
  /** Unix milliseconds, by the router's clock. */
  readonly createdAt: number;

  /** It was processed: it is never delivered again. Resolves when the router knows; it goes on trying by itself. */
  acknowledge(): Promise<void>;

  /**
   * It was not processed: it is handed out again after 1, 2, 4, … seconds, and fails at the fifth time. `permanent`: it fails
   * at once, and its sender is told.
   */
  refuse(reason: string, options?: { readonly permanent?: boolean }): Promise<void>;
}

export interface MessagesOptions extends WaitOptions {
  /**
   * "next" (default): a message counts as processed when the next one is asked for, or a result is reported.
   * "by-hand": when {@link ReceivedMessage.acknowledge} is called.
   */
  readonly acknowledge?: "next" | "by-hand";
}

export interface DeliveryStatus {
  readonly partyId: string;
  /** pending, delivered, acknowledged or failed. */
  readonly status: string;
  /** Unix milliseconds; 0: not yet. */
  readonly deliveredAt: number;
  /** Unix milliseconds; 0: not yet. */
  readonly acknowledgedAt: number;
  readonly retryCount: number;
}

/** What a party reports at the end: the key of a keygen session, the signature of a sign session. */
export type SessionResult =
  | { readonly publicKey: Uint8Array; readonly signature?: never }
  | { readonly signature: Uint8Array; readonly publicKey?: never };

/** A session that this party has joined. */
export interface PartySession extends AsyncDisposable {
  readonly sessionId: string;
  readonly partyId: string;
  readonly partyIndex: number;
  /** All of them, this one too, by index. */
  readonly parties: readonly SessionParty[];
  readonly type: "keygen" | "sign";
  readonly thresholdN: number;
  readonly thresholdT: number;
  readonly messageHash: Uint8Array;
  /** Resolves when the session has ended, for whatever reason; rejects when it is closed here before. */
  readonly ended: Promise<SessionEnd>;

  /** Says that this party is ready; resolves when the session is in progress, rejects when it has ended. */
  ready(options?: WaitOptions): Promise<void>;

  /**
   * Resolves with the message's id when it is stored for every recipient; repeats itself through outages, and is delivered
   * once. Messages arrive in the order of calls that were waited for.
   */
  send(
    to: string | readonly string[],
    message: OutgoingMessage,
    options?: WaitOptions,
  ): Promise<string>;

  /** As {@link send}, to all other parties, also those that join later. */
  broadcast(message: OutgoingMessage, options?: WaitOptions): Promise<string>;

  /**
   * What the others send, each message once, until the session has ended. One loop at a time; it may be left and begun anew.
   * Throws SUPERSEDED when the same party reads elsewhere.
   */
  messages(options?: MessagesOptions): AsyncIterableIterator<ReceivedMessage>;

  /** Reports the result. Rejects when parties disagree; then the session has failed. */
  complete(
    result: SessionResult,
    options?: WaitOptions,
  ): Promise<{ readonly allCompleted: boolean }>;

  /** The delegate hands over the user's share, encrypted to the user, before it reports. */
  submitDelegateShare(
    share: { readonly encryptedShare: Uint8Array; readonly publicKey: Uint8Array },
    options?: WaitOptions,
  ): Promise<void>;

  status(options?: WaitOptions): Promise<SessionStatus>;

  /** What became of a message of this party, or for it. */
  messageStatus(
    messageId: string,
    options?: WaitOptions,
  ): Promise<{
    readonly allAcknowledged: boolean;
    readonly deliveries: readonly DeliveryStatus[];
  }>;

  /** Waits for acknowledgements under way, for 2 s at most, and ends the rest. The session itself goes on. */
  close(): Promise<void>;
}
