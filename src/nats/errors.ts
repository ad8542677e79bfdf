import { JetStreamApiError } from "@nats-io/jetstream";
import { jserrors, JetStreamStatusError } from "@nats-io/jetstream/internal";
import { errors } from "@nats-io/transport-node";

/** Codes of the JetStream API (server/errors.json of nats-server 2.15). */
const apiCodes = {
  wrongLastSequence: 10_071,
  writeInFlight: 10_164,
  messageNotFound: 10_037,
  sequenceNotFound: 10_043,
  consumerNotFound: 10_014,
  messageDeleteFailed: 10_057,
  streamNotFound: 10_059,
} as const;

/**
 * What the server calls the caller's fault though it passes: no server to place a copy on, an account or a stream at
 * its limit, an earlier try of the same message still under way, too much at once, a server that joins or leaves.
 */
const passingCodes: ReadonlySet<number> = new Set([
  10_002, 10_005, 10_026, 10_158, 10_167, 10_202, 10_210,
]);

/** What is to be stored goes beyond a limit: of the server, the account, its streams' reservations, or the stream. */
const fullCodes: ReadonlySet<number> = new Set([10_023, 10_002, 10_047, 10_077]);

function apiCode(error: unknown): number | undefined {
  return error instanceof JetStreamApiError ? error.code : undefined;
}

/** Somebody else wrote first: the expectation of a compare-and-set does not hold. */
export function isWrongLastSequence(error: unknown): boolean {
  return apiCode(error) === apiCodes.wrongLastSequence;
}

/**
 * A cluster has another write of the subject under way, which may still be lost: until that is decided, nobody can say
 * that it is there, nor that it is not.
 */
export function isWriteInFlight(error: unknown): boolean {
  return apiCode(error) === apiCodes.writeInFlight;
}

export function isMessageGone(error: unknown): boolean {
  const code = apiCode(error);
  return code === apiCodes.messageNotFound || code === apiCodes.sequenceNotFound;
}

export function isDeleteFailed(error: unknown): boolean {
  return apiCode(error) === apiCodes.messageDeleteFailed;
}

/** The server has no room for what was to be stored, and has not stored it. */
export function isStoreFull(error: unknown): boolean {
  return fullCodes.has(apiCode(error) ?? 0);
}

export function isConsumerGone(error: unknown): boolean {
  return apiCode(error) === apiCodes.consumerNotFound;
}

export function isStreamMissing(error: unknown): boolean {
  return apiCode(error) === apiCodes.streamNotFound;
}

/** The server refused a multi-last read because more than 1,024 subjects match. */
export function isTooManyResults(error: unknown): boolean {
  return error instanceof JetStreamStatusError && error.code === 413;
}

/** This router has closed its connection: no try will do better. */
export function isClosed(error: unknown): boolean {
  return error instanceof errors.ClosedConnectionError;
}

/** No message matches what was asked for. */
export function isNothingFound(error: unknown): boolean {
  return error instanceof JetStreamStatusError && error.code === 404;
}

/** The broker is away, slow, electing a leader or out of space: the same call may succeed a moment later. */
export function isTransient(error: unknown): boolean {
  if (error instanceof JetStreamApiError) {
    // Every stream is made at start, and memory ones again after a restart of the server.
    if (isStreamMissing(error) || isWriteInFlight(error)) return true;
    if (passingCodes.has(error.code)) return true;
    return error.status >= 500;
  }
  if (error instanceof JetStreamStatusError) return error.code >= 500;
  // So the client says when nobody answers for a stream, as while a server starts.
  if (error instanceof jserrors.JetStreamNotEnabled) return true;
  return (
    error instanceof errors.TimeoutError ||
    error instanceof errors.NoRespondersError ||
    error instanceof errors.RequestError ||
    error instanceof errors.ConnectionError ||
    error instanceof errors.ClosedConnectionError ||
    error instanceof errors.DrainingConnectionError
  );
}
