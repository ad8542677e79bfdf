/**
 * Every refusal a caller can meet, by the stable reason word that clients switch on. The wire code of each reason is
 * decided in rpc/, in one table that does not compile while a reason is missing.
 */
export type RouterErrorReason =
  // Nobody knows who calls.
  | "UNAUTHENTICATED"
  // What the caller sent is wrong.
  | "INVALID_ID"
  | "INVALID_FIELD"
  | "UNKNOWN_RECIPIENT"
  | "PAYLOAD_TOO_LARGE"
  // What the caller asks for is not there, or not for this caller.
  | "SESSION_NOT_FOUND"
  | "MESSAGE_NOT_FOUND"
  | "PARTY_NOT_FOUND"
  | "DELEGATE_SHARE_NOT_FOUND"
  | "SERVICE_NOT_FOUND"
  | "FOREIGN_HOST"
  | "FOREIGN_ORIGIN"
  | "CALLER_MISMATCH"
  | "COORDINATOR_ONLY"
  | "ROLE_NOT_ALLOWED"
  | "NOT_A_RECIPIENT"
  | "JOIN_DENIED"
  | "NOT_THE_DELEGATE"
  // The state of things does not allow it now.
  | "NOT_JOINED"
  | "NOT_REGISTERED"
  | "SESSION_NOT_IN_PROGRESS"
  | "SESSION_COMPLETED"
  | "SESSION_FAILED"
  | "SESSION_EXPIRED"
  | "KEYGEN_NOT_COMPLETED"
  | "NOT_ENOUGH_PARTIES"
  | "DELEGATE_SHARE_MISSING"
  | "PUBLIC_KEY_DIFFERS"
  | "TRANSITION_NOT_ALLOWED"
  // It was done before, otherwise.
  | "IDEMPOTENCY_KEY_REUSED"
  | "EVENT_EXISTS"
  | "SESSION_EXISTS"
  | "REQUEST_ID_REUSED"
  | "REPORT_DIFFERS"
  | "DELEGATE_SHARE_DIFFERS"
  | "DELEGATE_SHARE_TAKEN"
  // A limit.
  | "MAILBOX_FULL"
  | "STORE_FULL"
  | "TOO_MANY_JOIN_ATTEMPTS"
  | "RATE_LIMITED"
  | "TOO_MANY_SESSIONS"
  // The parties disagree, or another stream took over.
  | "PUBLIC_KEY_MISMATCH"
  | "SIGNATURE_MISMATCH"
  | "SUPERSEDED"
  // This server does not speak what was asked: an unknown method or compression.
  | "UNIMPLEMENTED"
  // Nothing is wrong with the call: try again.
  | "AUTH_KEYS_UNAVAILABLE"
  | "BROKER_UNAVAILABLE"
  | "SHUTTING_DOWN";

export interface RouterErrorOptions {
  /** When the caller should try again, in milliseconds. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** An operation that was refused or could not be carried out. Anything else that is thrown is a bug. */
export class RouterError extends Error {
  override readonly name = "RouterError";
  readonly reason: RouterErrorReason;
  readonly retryAfterMs: number | undefined;

  /** `detail` names the field and the rule; of the request's values it may quote ids only. */
  constructor(reason: RouterErrorReason, detail: string, options: RouterErrorOptions = {}) {
    super(`${reason}: ${detail}`, options.cause === undefined ? {} : { cause: options.cause });
    this.reason = reason;
    this.retryAfterMs = options.retryAfterMs;
  }
}

export function isRouterError(error: unknown, reason?: RouterErrorReason): error is RouterError {
  return error instanceof RouterError && (reason === undefined || error.reason === reason);
}

/** The message store has no room left for messages: nothing of this one was stored. */
export function storeFull(cause?: unknown): RouterError {
  return new RouterError("STORE_FULL", "the message store has no room for more messages", {
    retryAfterMs: 2_000,
    cause,
  });
}

/** The broker did not answer in time or is away: the outcome is unknown, nothing was refused. */
export function brokerUnavailable(what: string, cause?: unknown): RouterError {
  return new RouterError("BROKER_UNAVAILABLE", `${what}: the message store does not answer`, {
    retryAfterMs: 1_000,
    cause,
  });
}
