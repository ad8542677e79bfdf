import type { StoredSession } from "../../domain/sessions/session.ts";
import type { Logger } from "../../telemetry/logger.ts";

/** What this instance knows of the sessions in the bucket; as many as the bucket holds. */
export interface SessionCache {
  get(sessionId: string): StoredSession | undefined;
  all(): Iterable<StoredSession>;
  /** Takes what the stream tells, which it tells in order. */
  hear(stored: StoredSession): void;
  /** Takes what was read or written here, which may be ahead of the stream; gives it back. */
  enter(stored: StoredSession): StoredSession;
  /** Drops a record that turned out to be gone, unless a newer one has come meanwhile. */
  dropGone(sessionId: string, known: StoredSession | undefined): void;
  clear(): void;
  onChange(listener: (stored: StoredSession) => void): () => void;
  /** The newest revision that the stream told. */
  heardRevision(): number;
  /** Whether everything up to this revision that is still stored has been told. */
  hasHeard(revision: number): boolean;
  /** Notes that nothing is left to be told up to this revision. */
  settle(revision: number): void;
  /** Resolves when the stream tells something, or after this time. */
  waitForNews(timeoutMs: number): Promise<void>;
}

export function openSessionCache(logger: Logger): SessionCache {
  const records = new Map<string, StoredSession>();
  const listeners = new Set<(stored: StoredSession) => void>();
  const waiting = new Set<() => void>();
  let heard = 0;
  let settled = 0;

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
    hear(stored) {
      enter(stored);
      heard = Math.max(heard, stored.revision);
      for (const wake of waiting) wake();
    },
    enter,
    dropGone(sessionId, known) {
      if (records.get(sessionId)?.revision === known?.revision) records.delete(sessionId);
    },
    clear() {
      records.clear();
      heard = 0;
      settled = 0;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    heardRevision: () => heard,
    hasHeard: (revision) => revision <= Math.max(heard, settled),
    settle(revision) {
      settled = Math.max(settled, revision);
    },
    waitForNews(timeoutMs) {
      return new Promise((resolve) => {
        const wake = (): void => {
          waiting.delete(wake);
          clearTimeout(timer);
          resolve();
        };
        const timer = setTimeout(wake, timeoutMs);
        waiting.add(wake);
      });
    },
  };
}
