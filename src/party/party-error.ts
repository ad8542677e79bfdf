import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";

const errorDomain = "mpc.router";

/** Reasons that pass when somebody else does something, or time does. */
const passingReasons: ReadonlySet<string> = new Set([
  "NOT_JOINED",
  "NOT_REGISTERED",
  "SESSION_NOT_IN_PROGRESS",
  "DELEGATE_SHARE_MISSING",
]);

/** Codes that a cut connection can show up as, when it was not the router that answered. */
const cutConnectionCodes: ReadonlySet<Code> = new Set([
  Code.Unknown,
  Code.Internal,
  Code.Aborted,
  Code.Canceled,
  Code.DeadlineExceeded,
  Code.DataLoss,
]);

export interface PartyErrorOptions {
  readonly code: Code;
  readonly isFinal?: boolean;
  /** When the router asks to be tried again, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** What every call and loop of a party fails with. Programs switch on `reason`, never on the text. */
export class PartyError extends Error {
  override readonly name: string = "PartyError";
  /**
   * The router's stable reason, such as SUPERSEDED or JOIN_DENIED; or one of the party's own: ABORTED (by the caller's
   * signal), CLOSED (the party or session was closed), READER_SLOW, ALREADY_READING; or the code in capitals, such as UNAVAILABLE, for what was
   * refused without a reason.
   */
  readonly reason: string;
  readonly code: Code;
  /** Whether the same call will fail again, whenever it is made. */
  readonly isFinal: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(reason: string, detail: string, options: PartyErrorOptions) {
    super(`${reason}: ${detail}`, options.cause === undefined ? {} : { cause: options.cause });
    this.reason = reason;
    this.code = options.code;
    this.retryAfterMs = options.retryAfterMs;
    this.isFinal =
      options.isFinal ?? (options.retryAfterMs === undefined && !passingReasons.has(reason));
  }
}

/** Whether this is a refusal with one of the reasons; without reasons, whether it is an error of a party at all. */
export function isPartyError(error: unknown, ...reasons: readonly string[]): error is PartyError {
  return error instanceof PartyError && (reasons.length === 0 || reasons.includes(error.reason));
}

/** The error as the application sees it. */
export function partyErrorOf(error: unknown): PartyError {
  if (error instanceof PartyError) return error;
  const wire = ConnectError.from(error, Code.Internal);
  const [info] = wire.findDetails(ErrorInfoSchema);
  const [retry] = wire.findDetails(RetryInfoSchema);
  const delay = retry?.retryDelay;
  const retryAfterMs =
    delay === undefined ? undefined : Number(delay.seconds) * 1_000 + delay.nanos / 1_000_000;
  const reason = info?.domain === errorDomain ? info.reason : nameOf(wire.code);
  const detail = wire.rawMessage.startsWith(`${reason}: `)
    ? wire.rawMessage.slice(reason.length + 2)
    : wire.rawMessage;
  return new PartyError(reason, detail, {
    code: wire.code,
    retryAfterMs,
    ...(isTransient(error) ? { isFinal: false } : {}),
    cause: error,
  });
}

/**
 * Whether the same call may succeed later: the router is away, restarting, or cannot reach its store, or the
 * connection broke. A refusal with a reason is an answer, and so is "internal error": neither gets better.
 */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof ConnectError)) return false;
  if (error.code === Code.Unavailable) return true;
  const [info] = error.findDetails(ErrorInfoSchema);
  if (info?.domain === errorDomain || error.rawMessage === "internal error") return false;
  // A stream of the Connect protocol that is cut between two messages lacks its end: a client calls that invalid.
  if (error.rawMessage.startsWith("protocol error")) return true;
  if (error.rawMessage.startsWith("http/2 stream closed")) return true;
  return cutConnectionCodes.has(error.code);
}

/** What a wait that the signal ended fails with. */
export function abortedBy(signal: AbortSignal): PartyError {
  const reason: unknown = signal.reason;
  if (reason instanceof PartyError) return reason;
  return new PartyError("ABORTED", "the signal was aborted", {
    code: Code.Canceled,
    cause: reason,
  });
}

export function closedError(what: string): PartyError {
  return new PartyError("CLOSED", `${what} was closed`, { code: Code.Canceled });
}

export function invalid(detail: string): PartyError {
  return new PartyError("INVALID_FIELD", detail, { code: Code.InvalidArgument });
}

function nameOf(code: Code): string {
  return (Code[code] ?? "Unknown").replaceAll(/(?<!^)([A-Z])/g, "_$1").toUpperCase();
}
