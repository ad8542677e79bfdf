import type { SessionStore } from "./session-ports.ts";
import { isSameDevice } from "./session-state.ts";
import { isTerminal, type SessionRecord, type StoredSession } from "./session.ts";

/** States that may wait for a slow reader; then older ones are left out, since each state says everything. */
const maxWaiting = 100;

const doNothing = (): void => undefined;

export interface WatchOptions {
  readonly sessions: Pick<SessionStore, "onChange">;
  /** Reads the record as it stands; what it throws refuses the watch. */
  readonly current: () => Promise<StoredSession>;
  /** Gives the record as it reads at this moment. */
  readonly asOfNow: (record: SessionRecord) => SessionRecord;
  readonly signal: AbortSignal;
}

/**
 * The session's state now, then every state that differs, until one is terminal or the signal aborts. Listening begins
 * at once, and ends with the signal even if nobody reads.
 */
export async function watchRecord(
  sessionId: string,
  { sessions, current, asOfNow, signal }: WatchOptions,
): Promise<AsyncIterable<SessionRecord>> {
  const waiting: StoredSession[] = [];
  let wake = doNothing;
  const off = sessions.onChange((stored) => {
    if (stored.record.sessionId !== sessionId) return;
    waiting.push(stored);
    if (waiting.length > maxWaiting) waiting.shift();
    wake();
  });
  const stop = (): void => {
    off();
    wake();
  };
  signal.addEventListener("abort", stop, { once: true });
  const first = await current().catch((error: unknown) => {
    stop();
    throw error;
  });
  const next = async (last: StoredSession): Promise<StoredSession | undefined> => {
    while (!signal.aborted) {
      const stored = waiting.shift();
      if (stored === undefined) await new Promise<void>((resolve) => (wake = resolve));
      else if (saysMore(last, stored)) return stored;
    }
    return undefined;
  };
  return (async function* states() {
    try {
      let last: StoredSession | undefined = first;
      while (last !== undefined) {
        const state = asOfNow(last.record);
        yield state;
        if (isTerminal(state.status)) return;
        last = await next(last);
      }
    } finally {
      stop();
      signal.removeEventListener("abort", stop);
    }
  })();
}

/** Whether the later record differs in what a watcher sees; which events are stored is not of that. */
function saysMore(before: StoredSession, after: StoredSession): boolean {
  if (after.revision <= before.revision) return false;
  const [was, is] = [before.record, after.record];
  return (
    is.transitions.length !== was.transitions.length ||
    is.delegateShare.state !== was.delegateShare.state ||
    is.parties.some((party, seat) => !isSameDevice(was.parties[seat]?.deviceInfo, party.deviceInfo))
  );
}
