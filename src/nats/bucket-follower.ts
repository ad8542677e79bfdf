import { callBudgetMs } from "../domain/call-budget.ts";
import { brokerUnavailable } from "../domain/errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Entry } from "./bucket.ts";
import type { Nats } from "./connection.ts";
import { decodeRecord } from "./json.ts";
import { lastSequence, leaderMessage } from "./reading.ts";
import { followStream } from "./stream-follower.ts";

/** How long to wait for what should be heard before it is asked for again, in milliseconds. */
const hearingMs = 200;

/** Follows a bucket from its beginning, so that what it holds can be looked up in memory. */
export interface BucketFollower extends AsyncDisposable {
  /**
   * Resolves once everything that was stored before the call, and still is, has been told: one small read from the
   * leader where nothing is to be waited for. BROKER_UNAVAILABLE after the budget, by default that of a call.
   */
  catchUp(budgetMs?: number): Promise<void>;
}

export interface BucketFollowing<T> {
  readonly bucket: string;
  /** A bucket in memory is empty after its server has started again, and counts from 1. */
  readonly isInMemory: boolean;
  /** Told of what is stored now and of each change, in order; after an interruption of some of it again. */
  readonly onEntry: (entry: Entry<T>) => void;
  /** What was told may be newer than what is stored; all that is stored is told again. */
  readonly onRewind: () => void;
  readonly logger: Logger;
}

export function followBucket<T extends object>(
  nats: Nats,
  { bucket, isInMemory, onEntry, onRewind, logger }: BucketFollowing<T>,
): BucketFollower {
  const stream = `KV_${bucket}`;
  const prefix = `$KV.${bucket}.`;
  const stopping = new AbortController();
  const news = createNews();
  /** Sequence of the newest entry that was told. */
  let heard = 0;
  /** Up to here nothing is left to be told, since what was stored last has been removed. */
  let settled = 0;

  const hear = ({ subject, data, seq }: HeardMessage): void => {
    try {
      // A marker that some other client put where it deleted a key has no data.
      if (data.length > 0) {
        onEntry({ key: subject.slice(prefix.length), value: decodeRecord<T>(data), revision: seq });
      }
    } catch (error) {
      logger.error({ err: error, bucket, revision: seq }, "an entry cannot be used");
    }
    heard = Math.max(heard, seq);
    news.come();
  };
  const rewind = (): void => {
    heard = 0;
    settled = 0;
    onRewind();
  };
  const running = followStream(nats, {
    stream,
    heard: () => heard,
    onMessage: hear,
    onRewind: rewind,
    signal: stopping.signal,
    logger,
  });
  const offReconnect = isInMemory ? nats.onReconnect(rewind) : undefined;
  return {
    async catchUp(budgetMs = callBudgetMs) {
      const giveUpAt = performance.now() + budgetMs;
      const last = await lastSequence(nats, stream);
      while (last > Math.max(heard, settled)) {
        // What was stored last may have been removed, and is then never told: what is there counts.
        const newest = (await leaderMessage(nats, stream, `${prefix}>`))?.seq ?? 0;
        if (heard >= newest) {
          settled = Math.max(settled, last);
          return;
        }
        if (stopping.signal.aborted || performance.now() >= giveUpAt) {
          throw brokerUnavailable(`catching up with ${bucket}`);
        }
        await news.within(hearingMs);
      }
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      offReconnect?.();
      news.come();
      await running;
    },
  };
}

/** Something to wait for, together with others. */
function createNews(): {
  readonly come: () => void;
  /** Resolves when news come, or after this time. */
  readonly within: (timeoutMs: number) => Promise<void>;
} {
  const waiting = new Set<() => void>();
  return {
    come() {
      for (const wake of waiting) wake();
    },
    within: (timeoutMs) =>
      new Promise((resolve) => {
        const wake = (): void => {
          waiting.delete(wake);
          clearTimeout(timer);
          resolve();
        };
        const timer = setTimeout(wake, timeoutMs);
        waiting.add(wake);
      }),
  };
}

interface HeardMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly seq: number;
}
