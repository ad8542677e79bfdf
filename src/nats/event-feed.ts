import { DeliverPolicy, type ConsumerMessages } from "@nats-io/jetstream";
import { setTimeout as delay } from "node:timers/promises";
import type { StoredEvent } from "../domain/events/event-ports.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Nats } from "./connection.ts";
import { lastSequence } from "./reading.ts";
import { streams } from "./subjects.ts";

/** Newest events kept in memory: a follower of a cluster may answer a read from before them. */
const recentEvents = 512;
const retryPauseMs = 100;
/** The server says this often that the consumer lives; two misses and it is made anew. The client allows no less. */
const idleHeartbeatMs = 500;
/** Time after which the server forgets a consumer that nobody pulls from any more. */
const inactiveMs = 30_000;

const signsOfLoss: ReadonlySet<string> = new Set([
  "heartbeats_missed",
  "consumer_deleted",
  "consumer_not_found",
  "stream_not_found",
  "no_responders",
  "reset",
]);

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
    // A consumer that the library made anew may begin before the place where the last one was.
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
  /** A store that lost its tail, or all, counts on from a lower sequence; a cluster's leader may merely lag. */
  const rewind = async (): Promise<void> => {
    if (nats.isClustered) return;
    const last = await lastSequence(nats, streams.events);
    if (last >= heard) return;
    logger.error({ heard, last }, "the event stream lost events that were stored");
    heard = last;
    recentAfter = last;
    recent = [];
  };
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        await rewind();
        await follow(nats, { heard: () => heard, hear, decode, signal: stopping.signal });
      } catch (error) {
        logger.debug({ err: error }, "following session events again");
      }
      await delay(retryPauseMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  };
  const running = run();
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

interface Following {
  readonly heard: () => number;
  readonly hear: (stored: StoredEvent) => void;
  readonly decode: (data: Uint8Array, sequence: number) => StoredEvent;
  readonly signal: AbortSignal;
}

/** Follows the stream until the consumer may be lost: it dies with its server, and the library waits for it in silence. */
async function follow(nats: Nats, following: Following): Promise<void> {
  const { heard, hear, decode, signal } = following;
  const lost = new AbortController();
  const end = AbortSignal.any([signal, lost.signal]);
  const offReconnect = nats.onReconnect(() => lost.abort());
  let messages: ConsumerMessages | undefined;
  try {
    const consumer = await nats.js.consumers.get(streams.events, {
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: heard() + 1,
      inactive_threshold: inactiveMs,
    });
    messages = await consumer.consume({ max_messages: 500, idle_heartbeat: idleHeartbeatMs });
    const consuming = messages;
    const watching = watch(consuming, () => lost.abort());
    end.addEventListener("abort", () => consuming.stop(), { once: true });
    if (end.aborted) consuming.stop();
    for await (const message of consuming) hear(decode(message.data, message.seq));
    await watching;
    if (signal.aborted && nats.isConnected()) await consumer.delete().catch(() => false);
  } finally {
    messages?.stop();
    offReconnect();
  }
}

async function watch(messages: ConsumerMessages, onLost: () => void): Promise<void> {
  for await (const status of messages.status()) if (signsOfLoss.has(status.type)) onLost();
}
