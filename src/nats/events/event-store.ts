import type { EventStore, StoredEvent } from "../../domain/events/event-ports.ts";
import type { SessionEvent } from "../../domain/events/session-event.ts";
import { limits } from "../../domain/ids.ts";
import { retentionMs } from "../../domain/sessions/session.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { ttlOf, untilHeld } from "../bucket.ts";
import type { Nats } from "../connection.ts";
import { isWrongLastSequence } from "../errors.ts";
import { openEventFeed, type EventFeed } from "./event-feed.ts";
import { decodeEvent, type EventRecord } from "./event-record.ts";
import { encodeRecord } from "../json.ts";
import { lastSequence, leaderMessage } from "../reading.ts";
import { allMessages, freshMessages } from "../sure-reading.ts";
import { streams, subjects } from "../subjects.ts";

/** Opens the event stream and begins to follow it. */
export async function openEventStore(
  nats: Nats,
  { logger }: { readonly logger: Logger },
): Promise<EventStore & AsyncDisposable> {
  const feed = await openEventFeed(nats, { decode: decodeEvent, logger });
  return {
    async append(event, contentHash) {
      const { known } = await untilHeld("storing an event", async () => {
        if (await publish(nats, { event, contentHash }, ttlMsOf(event, nats.clock.nowMs()))) {
          return { known: undefined };
        }
        const other = await newest(nats, rivals(event, contentHash));
        // The one that was in the way has been removed since, or is not decided yet on a cluster: nothing was refused.
        return other && { known: other };
      });
      return known;
    },
    find: (eventId) => newest(nats, subjects.eventOfAnySession(eventId)),
    lastSequence: () => lastSequence(nats, streams.events),
    read: (range) => read(nats, feed, range),
    ofSessions: (sessionIds, upTo) => ofSessions({ nats, feed, sessionIds, upTo }),
    onEvent: (listener) => feed.onEvent(listener),
    heardSequence: () => feed.heardSequence(),
    async removeSession(sessionId) {
      await nats.attempt("removing events", () =>
        nats.jsm.streams.purge(streams.events, { filter: subjects.eventsOfSession(sessionId) }),
      );
      feed.forget(sessionId);
    },
    [Symbol.asyncDispose]: () => feed[Symbol.asyncDispose](),
  };
}

/**
 * Where an event that is in the way can be. A derived id names its session, so looking there is enough; an id that a
 * publisher chose may be used in any session. That look costs the server 0.02 µs per stored event.
 */
function rivals(event: SessionEvent, contentHash: string): string {
  return contentHash === ""
    ? subjects.event(event.sessionId, event.eventId)
    : subjects.eventOfAnySession(event.eventId);
}

/** False when an event of this id is there. */
async function publish(nats: Nats, record: EventRecord, ttlMs: number): Promise<boolean> {
  const { event, contentHash } = record;
  const subject = subjects.event(event.sessionId, event.eventId);
  const expect = {
    lastSubjectSequence: 0,
    lastSubjectSequenceSubject: rivals(event, contentHash),
  };
  try {
    await nats.attempt("storing an event", () =>
      nats.js.publish(subject, encodeRecord(record), { expect, ttl: ttlOf(ttlMs) }),
    );
    return true;
  } catch (error) {
    if (isWrongLastSequence(error)) return false;
    throw error;
  }
}

async function newest(nats: Nats, subject: string): Promise<StoredEvent | undefined> {
  const message = await leaderMessage(nats, streams.events, subject);
  return message === undefined ? undefined : decodeEvent(message.data, message.seq);
}

/** An event outlives its session by the retention; one of no session may claim no more than the longest session. */
function ttlMsOf(event: SessionEvent, nowMs: number): number {
  const remainingMs = Math.min(Math.max(event.expiresAt - nowMs, 0), limits.sessionTtlMs.max);
  return remainingMs + retentionMs;
}

interface Range {
  readonly after: number;
  readonly upTo: number;
  readonly sessionId?: string;
}

/** From the store what is old, from memory what is recent, from the store again what has not been heard yet. */
async function* read(nats: Nats, feed: EventFeed, range: Range): AsyncGenerator<StoredEvent> {
  const { sessionId, upTo } = range;
  const filter = sessionId === undefined ? subjects.allEvents : subjects.eventsOfSession(sessionId);
  const recent = feed.recent();
  let position = range.after;
  if (position < recent.after) {
    const until = Math.min(upTo, recent.after);
    yield* stored(nats, filter, { after: position, upTo: until });
    position = until;
  }
  for (const event of recent.events) {
    if (event.sequence <= position || event.sequence > upTo) continue;
    position = event.sequence;
    if (sessionId === undefined || event.event.sessionId === sessionId) yield event;
  }
  if (position < upTo) yield* stored(nats, filter, { after: position, upTo });
}

async function* stored(nats: Nats, filter: string, range: Range): AsyncGenerator<StoredEvent> {
  if (range.after >= range.upTo) return;
  for await (const message of allMessages(nats, streams.events, {
    filter,
    from: range.after + 1,
  })) {
    if (message.seq > range.upTo) return;
    yield decodeEvent(message.data, message.seq);
  }
}

interface SessionsQuery {
  readonly nats: Nats;
  readonly feed: EventFeed;
  readonly sessionIds: readonly string[];
  readonly upTo: number;
}

async function ofSessions({
  nats,
  feed,
  sessionIds,
  upTo,
}: SessionsQuery): Promise<readonly StoredEvent[]> {
  const wanted = new Set(sessionIds);
  const recent = feed.recent();
  const found = new Map<number, StoredEvent>();
  const filters = sessionIds.map((sessionId) => subjects.eventsOfSession(sessionId));
  for (const message of await freshMessages(nats, streams.events, filters)) {
    if (message.seq <= upTo) found.set(message.seq, decodeEvent(message.data, message.seq));
  }
  for (const event of recent.events) {
    const isWanted = event.sequence <= upTo && wanted.has(event.event.sessionId);
    if (isWanted) found.set(event.sequence, event);
  }
  return [...found.values()].toSorted((a, b) => a.sequence - b.sequence);
}
