import type { PartySessions } from "../parties/party.ts";
import type { EventStore, StoredEvent } from "./event-ports.ts";
import { readOn, untilAnswered } from "./patience.ts";
import { isTerminalType, type SessionEvent } from "./session-event.ts";

/** Stored events up to a sequence that a stream begins with, in order; not yet filtered by party and type. */
export type Replay = (
  store: EventStore,
  upTo: number,
  signal: AbortSignal,
) => AsyncIterable<StoredEvent>;

/** Events of more sessions than this are found by reading all events. */
const maxSessions = 100;

/** Everything after an event the party has. */
export function replayFrom(after: number): Replay {
  return (store, upTo, signal) => readOn(store, { after, upTo }, signal);
}

/**
 * All events of the party's live sessions; `withEnded`: also the terminal events of those that ended within 24 hours,
 * for a party whose last event is not known any more.
 */
export async function replayOf(
  sessions: PartySessions,
  partyId: string,
  { withEnded }: { readonly withEnded: boolean },
): Promise<Replay> {
  const live = new Set((await sessions.liveSessionsOf(partyId)).map(({ sessionId }) => sessionId));
  const recent = withEnded ? await sessions.recentSessionsOf(partyId) : [];
  const sessionIds = [...new Set([...live, ...recent.map(({ sessionId }) => sessionId)])];
  const known = new Set(sessionIds);
  const isMissed = ({ sessionId, eventType }: SessionEvent): boolean =>
    live.has(sessionId) || (known.has(sessionId) && isTerminalType(eventType));
  return async function* replay(store, upTo, signal) {
    const events =
      sessionIds.length > maxSessions
        ? readOn(store, { after: 0, upTo }, signal)
        : await untilAnswered(signal, () => store.ofSessions(sessionIds, upTo));
    for await (const stored of events ?? []) if (isMissed(stored.event)) yield stored;
  };
}
