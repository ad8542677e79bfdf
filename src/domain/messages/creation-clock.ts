import { BoundedMap } from "../bounded-map.ts";

/** Gives `created_at`: strictly increasing for all that one instance stores in a session. */
export interface CreationClock {
  /** The clock, or one more than the last value written or seen in the session, in Unix milliseconds. */
  next(sessionId: string, nowMs: number): number;
  /** Notes a value that another instance wrote. */
  saw(sessionId: string, createdAt: number): void;
}

/** Sessions remembered at once; the oldest is forgotten first, which only matters to one that is still busy. */
const maxSessions = 50_000;

export function createCreationClock(): CreationClock {
  const last = new BoundedMap<string, number>(maxSessions);
  return {
    next(sessionId, nowMs) {
      const createdAt = Math.max(nowMs, (last.get(sessionId) ?? 0) + 1);
      last.set(sessionId, createdAt);
      return createdAt;
    },
    saw(sessionId, createdAt) {
      if (createdAt > (last.get(sessionId) ?? 0)) last.set(sessionId, createdAt);
    },
  };
}
