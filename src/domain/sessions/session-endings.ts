import type { Clock } from "../clock.ts";
import type { SessionStore } from "./session-ports.ts";
import { endedAt, type SessionRecord } from "./session.ts";

/** Tells open streams that their session has ended, whether somebody ended it or its time ran out. */
export interface SessionEndings extends Disposable {
  /** Aborts `ended` at most half a second late. `stop` is to be called when nobody listens any more. */
  watch(record: SessionRecord): { readonly ended: AbortSignal; readonly stop: () => void };
}

/** How often sessions with open streams are checked for their expiry, in milliseconds. */
const expiryCheckMs = 500;

interface Watched {
  record: SessionRecord;
  readonly controllers: Set<AbortController>;
}

/** One listener and one timer for all streams: bounded by the number of sessions with an open stream. */
export function createSessionEndings(sessions: SessionStore, clock: Clock): SessionEndings {
  const watched = new Map<string, Watched>();
  const check = ({ record, controllers }: Watched): void => {
    if (endedAt(record, clock.nowMs()) === 0) return;
    for (const controller of controllers) controller.abort();
    watched.delete(record.sessionId);
  };
  const off = sessions.onChange(({ record }) => {
    const known = watched.get(record.sessionId);
    if (known === undefined) return;
    known.record = record;
    check(known);
  });
  const timer = setInterval(() => {
    for (const known of watched.values()) check(known);
  }, expiryCheckMs);
  return {
    watch(record) {
      const controller = new AbortController();
      const newest = sessions.cached(record.sessionId)?.record ?? record;
      const known = watched.get(record.sessionId) ?? { record: newest, controllers: new Set() };
      watched.set(record.sessionId, known);
      known.controllers.add(controller);
      check(known);
      return {
        ended: controller.signal,
        stop: () => {
          known.controllers.delete(controller);
          if (known.controllers.size === 0 && watched.get(record.sessionId) === known) {
            watched.delete(record.sessionId);
          }
        },
      };
    },
    [Symbol.dispose]: () => {
      off();
      clearInterval(timer);
    },
  };
}
