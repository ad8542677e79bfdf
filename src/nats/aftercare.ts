import { isRouterError } from "../domain/errors.ts";
import { retentionMs } from "../domain/sessions/session.ts";
import type { Logger } from "../telemetry/logger.ts";
import { openBucket } from "./bucket.ts";
import type { Nats } from "./connection.ts";
import { createLease } from "./lease.ts";
import { startPeriodic } from "./periodic.ts";
import type { EndedSession, SessionEnds } from "./session-ends.ts";
import { buckets } from "./subjects.ts";

/**
 * Something that is done with what is kept of a session that has ended. Resolves with the milliseconds after which there
 * is more to do, or `undefined` when there is not. An instance may die at any moment of it, and several may be at it.
 */
export type AftercareStep = (ended: EndedSession) => Promise<number | undefined>;

export interface AftercareOptions {
  readonly nats: Nats;
  readonly ends: SessionEnds;
  /** Each begins when the one before has nothing more to do. */
  readonly steps: readonly AftercareStep[];
  readonly logger: Logger;
  readonly instanceId: string;
}

const tickMs = 2_000;
const leaseTtlMs = 10_000;
const renewLeaseMs = 2_000;
/** So long after a session's end late acknowledgements have come, and settled copies have gone; in milliseconds. */
const beginAfterMs = 30_000;
/** What is about to be forgotten is left alone, so that nothing is written after that. */
const beginWithinMs = retentionMs - 3_600_000;
/** A session with which something failed is tried again after this, in milliseconds. */
const failureMs = 600_000;

interface Look {
  readonly ended: EndedSession;
  /** When it is due, in Unix milliseconds. */
  readonly at: number;
}

/** Makes what is kept of ended sessions smaller, since all of it is in the memory of nats-server. One instance at a time does it. */
export function startAftercare(options: AftercareOptions): AsyncDisposable {
  const { nats, ends, steps, logger, instanceId } = options;
  const bucket = openBucket<{ readonly instanceId: string }>(nats, buckets.presence);
  const lease = createLease({ bucket, name: "aftercare", instanceId, ttlMs: leaseTtlMs });
  const stopping = new AbortController();
  /** By session; who does not hold the lease keeps no such list. */
  const looks = new Map<string, Look>();
  let isHolder = false;
  const note = (ended: EndedSession): void => {
    const { sessionId, endedAt } = ended;
    if (nats.clock.nowMs() >= endedAt + beginWithinMs) return;
    looks.set(sessionId, { ended, at: endedAt + beginAfterMs });
  };
  const offEnd = ends.onEnd((ended) => {
    if (isHolder) note(ended);
  });
  const hold = async (): Promise<boolean> => {
    const wasHolder = isHolder;
    isHolder = await lease.hold();
    if (!isHolder) looks.clear();
    else if (!wasHolder) for (const ended of ends.all()) note(ended);
    return isHolder;
  };
  const nextOf = async (ended: EndedSession): Promise<number | undefined> => {
    for (const step of steps) {
      const againMs = await step(ended);
      if (againMs !== undefined) return againMs;
    }
    return undefined;
  };
  const look = async (ended: EndedSession): Promise<void> => {
    const { sessionId } = ended;
    const againMs = await nextOf(ended).catch((error: unknown) => {
      if (isRouterError(error, "BROKER_UNAVAILABLE")) throw error;
      logger.warn({ sessionId, err: error }, "what is kept of a session could not be made smaller");
      return failureMs;
    });
    if (againMs === undefined) looks.delete(sessionId);
    else looks.set(sessionId, { ended, at: nats.clock.nowMs() + againMs });
  };
  const tick = async (): Promise<void> => {
    if (!(await hold())) return;
    let heldAt = performance.now();
    const nowMs = nats.clock.nowMs();
    for (const { ended } of [...looks.values()].filter(({ at }) => at <= nowMs)) {
      if (stopping.signal.aborted) return;
      if (performance.now() - heldAt > renewLeaseMs) {
        if (!(await hold())) return;
        heldAt = performance.now();
      }
      await look(ended);
    }
  };
  const what = "looking after ended sessions";
  const periodic = startPeriodic(tick, { intervalMs: tickMs, what, logger });
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      offEnd();
      await periodic[Symbol.asyncDispose]();
      if (isHolder && nats.isConnected()) await lease.release().catch(() => undefined);
    },
  };
}
