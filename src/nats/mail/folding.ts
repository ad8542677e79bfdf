import type { StoredMsg } from "@nats-io/jetstream";
import { isRouterError } from "../../domain/errors.ts";
import { retentionMs } from "../../domain/sessions/session.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { openBucket, ttlOf } from "../bucket.ts";
import type { Nats } from "../connection.ts";
import { createLease } from "../lease.ts";
import { unsettledIds } from "./mailbox-records.ts";
import { startPeriodic } from "../periodic.ts";
import { publishExpected } from "../publishing.ts";
import { subjectsIn } from "../reading.ts";
import { allMessages } from "../sure-reading.ts";
import { buckets, parseMessageSubject, streams, subjects } from "../subjects.ts";
import {
  foldSession,
  isSummary,
  packSummary,
  summaryText,
  textOf,
  type SessionRecords,
} from "./delivery-summary.ts";
import type { EndedSession, SessionEnds } from "./session-ends.ts";
import type { Settler } from "./settler.ts";

export interface FoldingOptions {
  readonly nats: Nats;
  readonly settler: Pick<Settler, "add">;
  readonly ends: SessionEnds;
  readonly logger: Logger;
  readonly instanceId: string;
}

const tickMs = 2_000;
const leaseTtlMs = 10_000;
const renewLeaseMs = 2_000;
/** So long after a session's end late acknowledgements have come, and settled copies have gone; in milliseconds. */
const foldAfterMs = 30_000;
/** What is about to be forgotten is not folded any more, so that no summary comes after that. */
const foldWithinMs = retentionMs - 3_600_000;
/** How soon it is looked again whether settled copies have gone, in milliseconds. */
const settlingMs = 20_000;
/** A session that could not be folded is tried again after this, in milliseconds. */
const failureMs = 600_000;
/**
 * A summary must be this old before the records go that it has, in milliseconds: a power failure may take the last two
 * minutes of what was written to an async stream, and must not take the summary alone.
 */
const durableAfterMs = 150_000;
/** What cannot be folded into one record of this size is left as it is, in bytes, and not even read beyond a number. */
const maxSummaryBytes = 524_288;
const maxRecords = 50_000;

/**
 * Folds the delivery records of ended sessions into one each: they answer for 24 hours, and a nats-server holds about
 * half a kilobyte of memory for every record. One instance at a time does it.
 */
export function startFolding(options: FoldingOptions): AsyncDisposable {
  const { nats, ends, logger, instanceId } = options;
  const bucket = openBucket<{ readonly instanceId: string }>(nats, buckets.presence);
  const lease = createLease({ bucket, name: "fold", instanceId, ttlMs: leaseTtlMs });
  const stopping = new AbortController();
  /** When each session is to be looked at, in Unix milliseconds; who does not hold the lease keeps no such list. */
  const looks = new Map<string, number>();
  let isHolder = false;
  const note = ({ sessionId, endedAt }: EndedSession): void => {
    const nowMs = nats.clock.nowMs();
    if (nowMs < endedAt + foldWithinMs) looks.set(sessionId, endedAt + foldAfterMs);
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
  const look = async (sessionId: string): Promise<void> => {
    const againMs = await foldOnce(options, sessionId).catch((error: unknown) => {
      if (isRouterError(error, "BROKER_UNAVAILABLE")) throw error;
      logger.warn({ sessionId, err: error }, "the records of a session could not be folded");
      return failureMs;
    });
    if (againMs === undefined) looks.delete(sessionId);
    else looks.set(sessionId, nats.clock.nowMs() + againMs);
  };
  const tick = async (): Promise<void> => {
    if (!(await hold())) return;
    let heldAt = performance.now();
    const nowMs = nats.clock.nowMs();
    for (const [sessionId] of [...looks].filter(([, at]) => at <= nowMs)) {
      if (stopping.signal.aborted) return;
      if (performance.now() - heldAt > renewLeaseMs) {
        if (!(await hold())) return;
        heldAt = performance.now();
      }
      await look(sessionId);
    }
  };
  const what = "folding the records of ended sessions";
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

/**
 * The next step of folding a session that has ended; resolves with the milliseconds after which another is due, or
 * `undefined` when there is none. Any step may be the last of an instance, and several instances may be at it: a summary
 * is never replaced but by one that has all that it has, and records go only when the summary has them.
 */
export async function foldOnce(
  { nats, settler }: Pick<FoldingOptions, "nats" | "settler">,
  sessionId: string,
): Promise<number | undefined> {
  if (await awaitSettler({ nats, settler }, sessionId)) return settlingMs;
  const stored = await storedOf(nats, sessionId);
  const summary = stored?.find(isSummary);
  const last = stored?.findLast((entry) => !isSummary(entry));
  if (stored === undefined || last === undefined) return undefined;
  const messages = foldSession(stored);
  const text = textOf(messages);
  if (summary === undefined || summaryText(summary.data) !== text) {
    const data = packSummary(text);
    if (data.length > maxSummaryBytes) return undefined;
    await publishExpected(nats, {
      what: "folding delivery records",
      stream: streams.deliveries,
      subject: subjects.deliverySummary(sessionId),
      data,
      lastSequence: summary?.seq ?? 0,
      ttl: ttlOf(keepUntil(messages) - nats.clock.nowMs()),
    });
    return durableAfterMs;
  }
  const ageMs = nats.clock.nowMs() - summary.time.getTime();
  if (ageMs < durableAfterMs) return durableAfterMs - ageMs;
  await nats.attempt("folding delivery records", () =>
    nats.jsm.streams.purge(streams.deliveries, {
      filter: subjects.deliveriesOfSession(sessionId),
      // What was written since the summary stays, and so does the summary.
      seq: Math.min(last.seq + 1, summary.seq),
    }),
  );
  return undefined;
}

/** All that is recorded of a session, in order; `undefined`: too much. A replica may give less, but then of the oldest. */
async function storedOf(nats: Nats, sessionId: string): Promise<readonly StoredMsg[] | undefined> {
  const filter = subjects.deliveriesOfSession(sessionId);
  const stored: StoredMsg[] = [];
  for await (const entry of allMessages(nats, streams.deliveries, { filter })) {
    if (stored.length === maxRecords) return undefined;
    stored.push(entry);
  }
  return stored;
}

/** A copy that a record settles goes first: without that record it would stay. True where there is one. */
async function awaitSettler(
  { nats, settler }: Pick<FoldingOptions, "nats" | "settler">,
  sessionId: string,
): Promise<boolean> {
  const subjectsOfCopies = await subjectsIn(
    nats,
    streams.messages,
    subjects.mailOfSession(sessionId),
  );
  const copies = Map.groupBy(subjectsOfCopies.map(parseMessageSubject), ({ partyId }) => partyId);
  let isWaiting = false;
  for (const [partyId, found] of copies) {
    const box = { partyId, sessionId };
    const ids = found.map(({ messageId }) => messageId);
    const unsettled = await unsettledIds(nats, box, ids);
    for (const messageId of ids.filter((id) => !unsettled.has(id))) {
      settler.add(box, messageId);
      isWaiting = true;
    }
  }
  return isWaiting;
}

/** As long as the records themselves: an hour longer than their copies. */
function keepUntil(messages: SessionRecords): number {
  const all = [...messages.values()].map(({ facts }) => facts.keepUntil);
  return all.reduce((latest, one) => Math.max(latest, one), 0) + 3_600_000;
}
