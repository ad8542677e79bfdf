import { RouterError } from "../errors.ts";
import type { CoordinatorOptions } from "./coordinator-options.ts";
import { endedAt, type SessionRecord } from "./session.ts";

/** Holds every coordinator to its number of live sessions, whatever instance they were created on. */
export interface SessionQuota extends Disposable {
  /**
   * Has a new session stored, which counts meanwhile, or refuses with TOO_MANY_SESSIONS. Records without a creator count
   * for nobody.
   */
  admit<T>(record: SessionRecord, store: () => Promise<T>): Promise<T>;
}

interface Count {
  /** The sessions that this instance has last heard of as live, and when each expires, in Unix milliseconds. */
  readonly live: Map<string, number>;
  /** Sessions that are being stored. */
  coming: number;
  /** When the live ones were last looked through, in Unix milliseconds. */
  lookedAtMs: number;
}

/** For so long, in milliseconds, what has expired may count; to look through 100,000 sessions takes some 2. */
const lookEveryMs = 1_000;
const retryAfterMs = 1_000;

type QuotaOptions = Pick<CoordinatorOptions, "clock" | "maxSessionsPerCoordinator"> & {
  readonly sessions: Pick<CoordinatorOptions["sessions"], "all" | "onChange">;
};

/** Counts as records come and change, so that a creation costs no more with many sessions than with few. */
export function createSessionQuota(options: QuotaOptions): SessionQuota {
  const { sessions, clock, maxSessionsPerCoordinator } = options;
  /** By coordinator; who has nothing that lives is not in it. */
  const counts = new Map<string, Count>();

  const countOf = (creator: string): Count => {
    const known = counts.get(creator);
    if (known !== undefined) return known;
    const count: Count = { live: new Map(), coming: 0, lookedAtMs: 0 };
    counts.set(creator, count);
    return count;
  };
  const forgetIfEmpty = (creator: string, { live, coming }: Count): void => {
    if (live.size === 0 && coming === 0) counts.delete(creator);
  };
  const note = (record: SessionRecord): void => {
    const { createdBy, sessionId, expiresAt } = record;
    if (createdBy === undefined) return;
    const count = countOf(createdBy);
    if (endedAt(record, clock.nowMs()) === 0) count.live.set(sessionId, expiresAt);
    else count.live.delete(sessionId);
    forgetIfEmpty(createdBy, count);
  };
  const off = sessions.onChange(({ record }) => note(record));
  for (const { record } of sessions.all()) note(record);

  /** Drops what has expired without anybody having said so yet, or ever, as of a record that was lost. */
  const lookThrough = (count: Count): void => {
    const nowMs = clock.nowMs();
    if (nowMs < count.lookedAtMs + lookEveryMs) return;
    count.lookedAtMs = nowMs;
    for (const [sessionId, expiresAt] of count.live) {
      if (nowMs >= expiresAt) count.live.delete(sessionId);
    }
  };
  const isFull = ({ live, coming }: Count): boolean =>
    live.size + coming >= maxSessionsPerCoordinator;
  return {
    async admit({ createdBy }, store) {
      if (createdBy === undefined) return store();
      const count = countOf(createdBy);
      if (isFull(count)) lookThrough(count);
      if (isFull(count)) throw tooMany(maxSessionsPerCoordinator);
      count.coming += 1;
      try {
        return await store();
      } finally {
        count.coming -= 1;
        forgetIfEmpty(createdBy, count);
      }
    },
    [Symbol.dispose]: off,
  };
}

function tooMany(max: number): RouterError {
  const detail = `this coordinator has ${max} live sessions, which is as many as it may`;
  return new RouterError("TOO_MANY_SESSIONS", detail, { retryAfterMs });
}
