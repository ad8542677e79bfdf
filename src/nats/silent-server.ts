import { setTimeout as delay } from "node:timers/promises";
import type { NatsConnection } from "@nats-io/transport-node";

export interface SilentServerOptions {
  readonly isClustered: () => boolean;
  readonly signal: AbortSignal;
}

const intervalMs = 500;
/** A server that answers no PING for this long is left for another one, in milliseconds. */
const maxSilenceMs = 3_000;
/** A process that stood still has not heard answers that are there. */
const stallMs = 500;

/**
 * A server that is stopped, or cut off without a word, keeps its connections open: the library's own PING finds out
 * after 5 to 7.5 s. On a cluster there are others to go to at once; a lone server is waited for. Resolves at the signal.
 */
export async function keepOffSilentServers(
  nc: NatsConnection,
  { isClustered, signal }: SilentServerOptions,
): Promise<void> {
  while (!signal.aborted && !nc.isClosed()) {
    // An abort ends the wait, which is all there is to it.
    await delay(intervalMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted || !isClustered()) continue;
    if (await isSilent(nc, signal)) await nc.reconnect();
  }
}

async function isSilent(nc: NatsConnection, signal: AbortSignal): Promise<boolean> {
  const askedAt = performance.now();
  const given = new AbortController();
  const limit = delay(maxSilenceMs, true, { signal: AbortSignal.any([signal, given.signal]) });
  const answer = nc.rtt().then(() => false);
  try {
    if (!(await Promise.race([answer, limit]))) return false;
    return performance.now() - askedAt < maxSilenceMs + stallMs;
  } catch {
    // It is cut or closed, of which everybody hears.
    return false;
  } finally {
    given.abort();
    // Of the two, the one that is late must not be an error that nobody caught.
    answer.catch(() => undefined);
    limit.catch(() => undefined);
  }
}
