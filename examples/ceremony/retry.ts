import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";

const firstPauseMs = 100;
const longestPauseMs = 2_000;

/** Codes that a cut connection can show up as, when it was not the router that answered. */
const cutConnectionCodes: ReadonlySet<Code> = new Set([
  Code.Unknown,
  Code.Internal,
  Code.Aborted,
  Code.Canceled,
  Code.DeadlineExceeded,
  Code.DataLoss,
]);

/** The reason word that opens the message of every refusal of the router, such as NOT_JOINED. */
function reasonOf(error: unknown): string | undefined {
  if (!(error instanceof ConnectError)) return undefined;
  return /^([A-Z][A-Z0-9_]+): /.exec(error.rawMessage)?.[1];
}

/**
 * Whether the same call may succeed later: the router is away, restarting, or cannot reach its store, or the
 * connection broke. A refusal with a reason is an answer, and so is "internal error": neither gets better.
 */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof ConnectError)) return false;
  if (error.code === Code.Unavailable) return true;
  if (reasonOf(error) !== undefined || error.rawMessage === "internal error") return false;
  // A stream of the Connect protocol that is cut between two messages lacks its end: a client calls that invalid.
  if (error.rawMessage.startsWith("protocol error")) return true;
  return cutConnectionCodes.has(error.code);
}

/** Waits 100 ms to 2 s, longer with each attempt (from 0), at random so that parties do not come back in step. */
export async function backOff(attempt: number, signal: AbortSignal): Promise<void> {
  const most = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(attempt, 10));
  await sleep(firstPauseMs + Math.random() * (most - firstPauseMs), undefined, { signal });
}

/** The first of several ways to the same result; the others are aborted, and waited for. */
export async function firstOf<T>(
  signal: AbortSignal,
  ways: readonly ((signal: AbortSignal) => Promise<T>)[],
): Promise<T> {
  const others = new AbortController();
  const either = AbortSignal.any([signal, others.signal]);
  const running = ways.map(async (way) => way(either));
  try {
    return await Promise.race(running);
  } finally {
    others.abort();
    await Promise.allSettled(running);
  }
}
