import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { isRouterError, type RouterErrorReason, type RouterError } from "../domain/errors.ts";
import { ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";

/** Domain of the `google.rpc.ErrorInfo` that every refusal carries. */
const errorDomain = "mpc.router";

/** The wire code of every reason; a reason without one does not compile. */
export const codes: Record<RouterErrorReason, Code> = {
  UNAUTHENTICATED: Code.Unauthenticated,
  INVALID_ID: Code.InvalidArgument,
  INVALID_FIELD: Code.InvalidArgument,
  UNKNOWN_RECIPIENT: Code.InvalidArgument,
  PAYLOAD_TOO_LARGE: Code.ResourceExhausted,
  SESSION_NOT_FOUND: Code.NotFound,
  MESSAGE_NOT_FOUND: Code.NotFound,
  PARTY_NOT_FOUND: Code.NotFound,
  DELEGATE_SHARE_NOT_FOUND: Code.NotFound,
  SERVICE_NOT_FOUND: Code.NotFound,
  FOREIGN_HOST: Code.PermissionDenied,
  FOREIGN_ORIGIN: Code.PermissionDenied,
  CALLER_MISMATCH: Code.PermissionDenied,
  COORDINATOR_ONLY: Code.PermissionDenied,
  ROLE_NOT_ALLOWED: Code.PermissionDenied,
  NOT_A_RECIPIENT: Code.PermissionDenied,
  JOIN_DENIED: Code.PermissionDenied,
  NOT_THE_DELEGATE: Code.PermissionDenied,
  NOT_JOINED: Code.FailedPrecondition,
  NOT_REGISTERED: Code.FailedPrecondition,
  SESSION_NOT_IN_PROGRESS: Code.FailedPrecondition,
  SESSION_COMPLETED: Code.FailedPrecondition,
  SESSION_FAILED: Code.FailedPrecondition,
  SESSION_EXPIRED: Code.FailedPrecondition,
  KEYGEN_NOT_COMPLETED: Code.FailedPrecondition,
  NOT_ENOUGH_PARTIES: Code.FailedPrecondition,
  DELEGATE_SHARE_MISSING: Code.FailedPrecondition,
  PUBLIC_KEY_DIFFERS: Code.FailedPrecondition,
  TRANSITION_NOT_ALLOWED: Code.FailedPrecondition,
  IDEMPOTENCY_KEY_REUSED: Code.AlreadyExists,
  EVENT_EXISTS: Code.AlreadyExists,
  SESSION_EXISTS: Code.AlreadyExists,
  REQUEST_ID_REUSED: Code.AlreadyExists,
  REPORT_DIFFERS: Code.AlreadyExists,
  DELEGATE_SHARE_DIFFERS: Code.AlreadyExists,
  DELEGATE_SHARE_TAKEN: Code.FailedPrecondition,
  MAILBOX_FULL: Code.ResourceExhausted,
  STORE_FULL: Code.ResourceExhausted,
  TOO_MANY_JOIN_ATTEMPTS: Code.ResourceExhausted,
  RATE_LIMITED: Code.ResourceExhausted,
  TOO_MANY_SESSIONS: Code.ResourceExhausted,
  PUBLIC_KEY_MISMATCH: Code.Aborted,
  SIGNATURE_MISMATCH: Code.Aborted,
  SUPERSEDED: Code.Aborted,
  UNIMPLEMENTED: Code.Unimplemented,
  AUTH_KEYS_UNAVAILABLE: Code.Unavailable,
  BROKER_UNAVAILABLE: Code.Unavailable,
  SHUTTING_DOWN: Code.Unavailable,
};

/** The error as it goes over the wire: the message opens with the reason, the details repeat it for programs. */
export function toConnectError(error: RouterError): ConnectError {
  const wire = new ConnectError(
    error.message,
    codes[error.reason],
    undefined,
    undefined,
    error.cause,
  );
  wire.details.push({
    desc: ErrorInfoSchema,
    value: create(ErrorInfoSchema, { reason: error.reason, domain: errorDomain }),
  });
  if (error.retryAfterMs !== undefined) {
    wire.details.push({ desc: RetryInfoSchema, value: retryInfo(error.retryAfterMs) });
  }
  return wire;
}

/** Whatever was thrown, as the caller may see it: anything but a refusal is a bug, and its text stays here. */
export function wireError(error: unknown): ConnectError {
  if (isRouterError(error)) return toConnectError(error);
  if (error instanceof ConnectError) return error;
  return new ConnectError("internal error", Code.Internal, undefined, undefined, error);
}

function retryInfo(retryAfterMs: number): ReturnType<typeof create<typeof RetryInfoSchema>> {
  return create(RetryInfoSchema, {
    retryDelay: {
      seconds: BigInt(Math.trunc(retryAfterMs / 1_000)),
      nanos: (retryAfterMs % 1_000) * 1_000_000,
    },
  });
}
