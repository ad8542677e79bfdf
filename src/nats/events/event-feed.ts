import type { StoredEvent } from "../../domain/events/event-ports.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { Nats } from "../connection.ts";
import { lastSequence } from "../reading.ts";
import { followStream } from "../stream-follower.ts";
import { streams } from "../subjects.ts";

/** Newest events kept in memory: a follower of a cluster may answer a read from before them. */
const recentEvents = 512;

/** One consumer that tells all listeners of every event of the stream, from the moment it was opened. */
export interface EventFeed extends AsyncDisposable {
  onEvent(listener: (stored: StoredEvent) => void): () => void;
  heardSequence(): number;
  /** The newest events, complete from `after` (exclusive) to {@link heardSequence}. */
  recent(): { readonly after: number; readonly events: readonly StoredEvent[] };
  /** Drops a session's events from {@link recent}. */
  forget(sessionId: string): void;
}

export interface EventFeedOptions {
  readonly decode: (data: Uint8Array, sequence: number) => StoredEvent;
  readonly logger: Logger;
}

export async function openEventFeed(nats: Nats, options: EventFeedOptions): Promise<EventFeed> {
  const { decode, logger } = options;
  const listeners = new Set<(stored: StoredEvent) => void>();
  const stopping = new AbortController();
  let heard = await lastSequence(nats, streams.events);
  let recentAfter = heard;
  let recent: StoredEvent[] = [];

  const hear = (stored: StoredEvent): void => {
    // What follows an interruption may begin before the place where it came.
    if (stored.sequence <= heard) return;
    heard = stored.sequence;
    recent.push(stored);
    if (recent.length > recentEvents) recentAfter = recent.shift()?.sequence ?? recentAfter;
    for (const listener of listeners) {
      try {
        listener(stored);
      } catch (error) {
        logger.error({ err: error }, "a listener to session events failed");
      }
    }
  };
  const running = followStream(nats, {
    stream: streams.events,
    heard: () => heard,
    onMessage: (message) => hear(decode(message.data, message.seq)),
    onRewind(last) {
      heard = last;
      recentAfter = last;
      recent = [];
    },
    signal: stopping.signal,
    logger,
  });
  return {
    onEvent(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    heardSequence: () => heard,
    // A copy, since whoever reads it may wait in between.
    recent: () => ({ after: recentAfter, events: [...recent] }),
    forget(sessionId) {
      recent = recent.filter((stored) => stored.event.sessionId !== sessionId);
    },
    [Symbol.asyncDispose]() {
      stopping.abort();
      return running;
    },
  };
}
