import { isRouterError, RouterError, type RouterErrorReason } from "../errors.ts";
import type { SessionStore } from "./session-ports.ts";
import {
  endedAt,
  retentionMs,
  seatOf,
  statusAt,
  type SessionParty,
  type SessionRecord,
} from "./session.ts";

/** What a call finds: the record, and the caller's seat in it. */
export interface Seat {
  readonly record: SessionRecord;
  readonly party: SessionParty;
}

/**
 * Judges a session by what this instance last heard of it, and, where that would refuse, again by the record as it
 * stands: a stale fact may allow a call, never refuse one.
 */
export async function judgeSession<T>(
  store: Pick<SessionStore, "cached" | "read">,
  sessionId: string,
  judge: (record: SessionRecord | undefined) => T,
): Promise<T> {
  const cached = store.cached(sessionId);
  if (cached !== undefined) {
    try {
      return judge(cached.record);
    } catch (error) {
      if (!isRouterError(error)) throw error;
    }
  }
  return judge((await store.read(sessionId))?.record);
}

/** The session, if it answers at all: who is not of it, or comes a day after its end, meets the same refusal. */
export function visible(record: SessionRecord | undefined, nowMs: number): SessionRecord {
  if (record === undefined || isForgotten(record, nowMs)) throw sessionNotFound();
  return record;
}

/** The party's seat in a session that answers it. */
export function seatIn(record: SessionRecord | undefined, partyId: string, nowMs: number): Seat {
  const found = visible(record, nowMs);
  const party = seatOf(found, partyId);
  if (party === undefined) throw sessionNotFound();
  return { record: found, party };
}

const endReasons = {
  completed: "SESSION_COMPLETED",
  failed: "SESSION_FAILED",
  expired: "SESSION_EXPIRED",
} as const satisfies Record<string, RouterErrorReason>;

/** Refuses a session that has ended. */
export function requireLive(record: SessionRecord, nowMs: number): void {
  const status = statusAt(record, nowMs);
  if (status === "created" || status === "in_progress") return;
  throw new RouterError(endReasons[status], `session ${record.sessionId} has ended`);
}

export function isForgotten(record: SessionRecord, nowMs: number): boolean {
  const end = endedAt(record, nowMs);
  return end > 0 && nowMs >= end + retentionMs;
}

export function sessionNotFound(): RouterError {
  return new RouterError("SESSION_NOT_FOUND", "session_id names no session of the caller");
}
