import type {
  DeliveryRecords,
  Mailbox,
  Message,
  MessageFacts,
  MessageTrace,
  OutgoingMessage,
} from "./message.ts";

/** Where routed messages are kept until each recipient has settled its copy. */
export interface MessageStore {
  /**
   * Stores a copy for every recipient; resolves once all are durable, never before. BROKER_UNAVAILABLE: some
   * recipients may have it; then the store itself goes on to complete a partial fan-out. STORE_FULL: none has it, and the
   * store takes no mail now.
   */
  append(message: OutgoingMessage): Promise<void>;
  /** As `append`, but leaves out recipients that have, or had, their copy already. Safe to repeat at any time. */
  complete(message: OutgoingMessage): Promise<void>;
  /**
   * Binds a message id to one content, durably; resolves with the claim that was there first, if it was another. STORE_FULL
   * as `append`.
   */
  claim(claim: IdempotencyClaim): Promise<"claimed" | IdempotencyClaim>;
  /** The claim on a message id, if there is one. */
  claimOn(sessionId: string, messageId: string): Promise<IdempotencyClaim | undefined>;
  /** Everything known of a message, read from the leader; `undefined`: never stored, or forgotten. */
  trace(sessionId: string, messageId: string): Promise<MessageTrace | undefined>;
  /** Unsettled copies, oldest first, up to `maxMessages` and `maxBytes` but at least one; notes their delivery. */
  pending(box: Mailbox, query: PendingQuery): Promise<readonly Message[]>;
  /** Calls back when something new may lie in the mailbox, or be about to. Returns the way to stop. */
  onArrival(box: Mailbox, listener: () => void): () => void;
}

export interface PendingQuery {
  /** Only messages created after this, Unix milliseconds; 0 for all. */
  readonly createdAfter: number;
  readonly maxMessages: number;
  readonly maxBytes: number;
}

export interface IdempotencyClaim {
  readonly sessionId: string;
  readonly messageId: string;
  /** Hash of recipients and content. */
  readonly contentHash: string;
  readonly facts: MessageFacts;
}

/** A message at one recipient, as the log knows it. */
export interface KnownDelivery {
  readonly facts: MessageFacts;
  readonly records: DeliveryRecords;
}

/** The records that say what became of each copy. */
export interface DeliveryLog {
  /** Whether the party is a recipient, and what is recorded; cheap, and it may miss what happened a moment ago. */
  glance(box: Mailbox, messageId: string): Promise<KnownDelivery | undefined>;
  /** The same with every record read. */
  read(box: Mailbox, messageId: string): Promise<KnownDelivery | undefined>;
  /** Durable when it resolves; false when it was acknowledged before. */
  acknowledge(delivery: DeliveryKey, atMs: number): Promise<boolean>;
  /** Records the refusal of that number (from 1), once; false when it was there. */
  refuse(delivery: DeliveryKey, refusal: Refusal): Promise<boolean>;
  /** Records that the party will never have processed it; false when that was there. */
  fail(
    delivery: DeliveryKey,
    failure: { readonly atMs: number; readonly error: string },
  ): Promise<boolean>;
}

export interface DeliveryKey {
  readonly box: Mailbox;
  readonly messageId: string;
  readonly facts: MessageFacts;
}

interface Refusal {
  readonly number: number;
  readonly atMs: number;
  readonly error: string;
  /** When the message is to be delivered again, in milliseconds from now. */
  readonly redeliverAfterMs: number;
}

/** Keeps mailboxes within their limits, without a read per call. */
export interface MailboxMeter {
  /**
   * Makes room in every mailbox for a message of so many bytes. The room is to be let go once the outcome of storing it is
   * known; what was stored counts on.
   */
  reserve(boxes: readonly Mailbox[], bytes: number): Promise<MailboxRoom>;
}

export interface MailboxRoom extends Disposable {
  /** The first mailbox that cannot take the message; then no room is held in any. */
  readonly full: Mailbox | undefined;
}

/** The live stream of a mailbox; one at a time over all instances, the newest wins. */
export interface Mailboxes {
  /**
   * Takes over the mailbox, and resolves when no later message can be missed. Then gives every unsettled message in
   * order, live ones as they come, and unacknowledged ones again. Ends by SUPERSEDED when a newer stream took over;
   * after `ended` it gives what it had not given and returns; it just stops on `signal`.
   */
  open(box: Mailbox, options: OpenMailbox): Promise<AsyncIterable<Message>>;
}

export interface OpenMailbox {
  /** Unix milliseconds after which nothing of the session needs to be kept. */
  readonly keepUntil: number;
  /** Aborts when the session has ended. */
  readonly ended: AbortSignal;
  /** Aborts when the reader has gone or the router stops. */
  readonly signal: AbortSignal;
}
