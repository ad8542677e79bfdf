import { isTerminalType } from "../../domain/events/session-event.ts";
import type { Nats } from "../connection.ts";
import type { EndedSession } from "../session-ends.ts";
import { streams, subjects } from "../subjects.ts";
import { freshMessages } from "../sure-reading.ts";
import { decodeEvent } from "./event-record.ts";

/** Who comes back within this after the end of a session is told all of it, in milliseconds. */
const wholeStoryMs = 180_000;

/**
 * Forgets what led to the end of a session, since only the end is told to who comes later: a nats-server holds about a
 * kilobyte of memory for every event. Resolves with the milliseconds after which to call again, if that is too early.
 */
export async function forgetBeforeEnd(
  nats: Nats,
  { sessionId, endedAt }: EndedSession,
): Promise<number | undefined> {
  const leftMs = endedAt + wholeStoryMs - nats.clock.nowMs();
  if (leftMs > 0) return leftMs;
  const filter = subjects.eventsOfSession(sessionId);
  const found = await freshMessages(nats, streams.events, [filter]);
  const end = found.find(({ data, seq }) => isTerminalType(decodeEvent(data, seq).event.eventType));
  if (end === undefined || end === found[0]) return undefined;
  await nats.attempt("removing events", () =>
    nats.jsm.streams.purge(streams.events, { filter, seq: end.seq }),
  );
  return undefined;
}
