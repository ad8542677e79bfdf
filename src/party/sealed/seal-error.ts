import { Code } from "@connectrpc/connect";
import { PartyError } from "../party-error.ts";

/**
 * - MALFORMED: these bytes are no sealed message of this version.
 * - UNKNOWN_PEER: no key is pinned for that party.
 * - TAMPERED: the bytes are not those that the sender signed.
 * - UNREADABLE: the sender signed them, but they do not open here.
 * - MISDIRECTED: they were meant for another session, recipient, round or type, or came from somebody else.
 * - REPLAYED: they came before, as another message.
 * - LATE: a broadcast of a round, or an echo, that was confirmed already.
 * - EQUIVOCATION: parties were shown different broadcasts.
 * - TOO_MANY: more messages than can be told from replays.
 */
export type SealReason =
  | "MALFORMED"
  | "UNKNOWN_PEER"
  | "TAMPERED"
  | "UNREADABLE"
  | "MISDIRECTED"
  | "REPLAYED"
  | "LATE"
  | "EQUIVOCATION"
  | "TOO_MANY";

/** Two parties saw different broadcasts of the senders. */
export interface Difference {
  readonly partyId: string;
  readonly senders: readonly string[];
}

export interface SealErrorOptions {
  readonly partyId?: string | undefined;
  readonly messageId?: string | undefined;
  readonly differences?: readonly Difference[];
  readonly cause?: unknown;
}

/** Somebody on the way, or the sender, does not keep to the rules. */
export class SealError extends PartyError {
  override readonly name = "SealError";
  declare readonly reason: SealReason;
  /** Who is said to have sent the message, or whose key is missing. */
  readonly partyId: string | undefined;
  readonly messageId: string | undefined;
  /** For EQUIVOCATION: who saw other broadcasts than this party, and whose. */
  readonly differences: readonly Difference[];

  constructor(reason: SealReason, detail: string, options: SealErrorOptions = {}) {
    super(reason, detail, { code: Code.DataLoss, isFinal: true, cause: options.cause });
    this.partyId = options.partyId;
    this.messageId = options.messageId;
    this.differences = options.differences ?? [];
  }
}

export function isSealError(error: unknown, ...reasons: readonly SealReason[]): error is SealError {
  return error instanceof SealError && (reasons.length === 0 || reasons.includes(error.reason));
}
