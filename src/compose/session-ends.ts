import type { Clock } from "../domain/clock.ts";
import { isForgotten } from "../domain/sessions/session-access.ts";
import type { SessionStore } from "../domain/sessions/session-ports.ts";
import { endedAt, isTerminal, type SessionRecord } from "../domain/sessions/session.ts";
import type { SessionEnds } from "../nats/session-ends.ts";

/** The ends of sessions, as the session store has them. */
export function sessionEnds(
  sessions: Pick<SessionStore, "all" | "cached" | "onChange">,
  clock: Clock,
): SessionEnds {
  return {
    mayHaveEnded(sessionId) {
      const record = sessions.cached(sessionId)?.record;
      return record === undefined || endedAt(record, clock.nowMs()) > 0;
    },
    *all() {
      const nowMs = clock.nowMs();
      for (const { record } of sessions.all()) {
        if (!isOver(record) || isForgotten(record, nowMs)) continue;
        yield { sessionId: record.sessionId, endedAt: record.endedAt };
      }
    },
    onEnd: (listener) =>
      sessions.onChange(({ record }) => {
        if (isOver(record)) listener(record);
      }),
  };
}

/** Whether the session has ended, and its events, which say so, are stored. */
function isOver({ status, publishedCount, transitions }: SessionRecord): boolean {
  return isTerminal(status) && publishedCount === transitions.length;
}
