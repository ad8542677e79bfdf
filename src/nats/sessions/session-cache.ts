import type { StoredSession } from "../../domain/sessions/session.ts";
import type { Logger } from "../../telemetry/logger.ts";

/** What this instance knows of the sessions in the bucket; as many as the bucket holds. */
export interface SessionCache {
  get(sessionId: string): StoredSession | undefined;
  all(): Iterable<StoredSession>;
  /** Takes what was told, read or written here, unless something newer is known; gives it back. */
  enter(stored: StoredSession): StoredSession;
  /** Drops a record that turned out to be gone, unless a newer one has come meanwhile. */
  dropGone(sessionId: string, known: StoredSession | undefined): void;
  clear(): void;
  onChange(listener: (stored: StoredSession) => void): () => void;
}

export function openSessionCache(logger: Logger): SessionCache {
  const records = new Map<string, StoredSession>();
  const listeners = new Set<(stored: StoredSession) => void>();

  const enter = (stored: StoredSession): StoredSession => {
    const { sessionId } = stored.record;
    const known = records.get(sessionId);
    if (known !== undefined && known.revision >= stored.revision) return stored;
    records.set(sessionId, stored);
    for (const listener of listeners) {
      try {
        listener(stored);
      } catch (error) {
        logger.error({ err: error, sessionId }, "a listener to sessions failed");
      }
    }
    return stored;
  };
  return {
    get: (sessionId) => records.get(sessionId),
    all: () => records.values(),
    enter,
    dropGone(sessionId, known) {
      if (records.get(sessionId)?.revision === known?.revision) records.delete(sessionId);
    },
    clear: () => records.clear(),
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
