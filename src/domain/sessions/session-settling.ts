import { eventOf } from "../events/session-event.ts";
import type { CoordinatorOptions } from "./coordinator-options.ts";
import { keptRecord } from "./new-session.ts";
import type { SessionRecord } from "./session.ts";

/** Makes true what follows from a record's decisions. */
export interface SessionSettling {
  /**
   * Keeps a completed keygen session, and stores the events of all transitions in their order. Resolves when all of it
   * is durable; what was done before costs nothing. Safe on several instances at once.
   */
  settle(record: SessionRecord): Promise<void>;
  /** How many of the record's transitions have their event stored, as far as this instance knows. */
  publishedCount(record: SessionRecord): number;
  /** Drops what is known of sessions of this id. */
  forget(sessionId: string): void;
}

interface Progress {
  /** Tells sessions of one id apart. */
  readonly createdAt: number;
  readonly count: number;
}

/** Sessions whose progress is remembered; of one that fell out, the events are offered once more. */
const maxRemembered = 10_000;

export function createSessionSettling(
  options: Pick<CoordinatorOptions, "sessions" | "events" | "log">,
): SessionSettling {
  const { sessions, events, log } = options;
  const progress = new Map<string, Progress>();

  const publishedCount = (record: SessionRecord): number => {
    const own = progress.get(record.sessionId);
    const ownCount = own?.createdAt === record.createdAt ? own.count : 0;
    return Math.min(Math.max(record.publishedCount, ownCount), record.transitions.length);
  };
  const remember = (record: SessionRecord, count: number): void => {
    progress.delete(record.sessionId);
    const [oldest] = progress.keys();
    if (oldest !== undefined && progress.size >= maxRemembered) progress.delete(oldest);
    progress.set(record.sessionId, { createdAt: record.createdAt, count });
  };
  return {
    publishedCount,
    async settle(record) {
      const done = publishedCount(record);
      if (done === record.transitions.length) return;
      // Whoever hears of the completed session may name it in a sign session a day later.
      if (record.status === "completed" && record.type === "keygen") {
        await sessions.keep(keptRecord(record));
      }
      for (const [position, transition] of record.transitions.entries()) {
        if (position < done) continue;
        const event = eventOf(record, transition);
        const known = await events.append(event, transition.contentHash ?? "");
        if (known !== undefined && known.event.sessionId !== record.sessionId) {
          const { sessionId } = record;
          log.warn(
            { sessionId, eventId: event.eventId },
            "another session has an event of this id",
          );
        }
        remember(record, position + 1);
      }
    },
    forget: (sessionId) => void progress.delete(sessionId),
  };
}
