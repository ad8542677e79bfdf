import { DeliverPolicy, type ConsumerMessages, type JsMsg } from "@nats-io/jetstream";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "../telemetry/logger.ts";
import type { Nats } from "./connection.ts";
import { lastSequence } from "./reading.ts";

const retryPauseMs = 100;
/** The server says this often that the consumer lives; two misses and it is made anew. The client allows no less. */
const idleHeartbeatMs = 500;
/** Time after which the server forgets a consumer that nobody pulls from any more. */
const inactiveMs = 30_000;
/** A cluster may place the consumer on a server that has died; another one is asked for after this. */
const placementRepeatMs = 400;

const signsOfLoss: ReadonlySet<string> = new Set([
  "heartbeats_missed",
  "consumer_deleted",
  "consumer_not_found",
  "stream_not_found",
  "no_responders",
  "reset",
]);

export interface Following {
  readonly stream: string;
  /** Sequence of the last message that was given; following begins, and begins again, after it. */
  readonly heard: () => number;
  /** Gets the messages in order; after an interruption one may come again. */
  readonly onMessage: (message: JsMsg) => void;
  /** A store that is not replicated lost its tail, or all: it counts on from this sequence. */
  readonly onRewind: (lastSequence: number) => void;
  readonly signal: AbortSignal;
  readonly logger: Logger;
}

/** Gives every message of a stream, through reconnects and restarts of the server, until the signal. */
export async function followStream(nats: Nats, following: Following): Promise<void> {
  const { stream, signal, logger } = following;
  while (!signal.aborted) {
    try {
      await rewind(nats, following);
      await followOnce(nats, following);
    } catch (error) {
      logger.debug({ err: error, stream }, "following the stream again");
    }
    // An abort ends the wait, which is all there is to it.
    await delay(retryPauseMs, undefined, { signal }).catch(() => undefined);
  }
}

/** A cluster's leader may merely lag. */
async function rewind(nats: Nats, { stream, heard, onRewind, logger }: Following): Promise<void> {
  if (nats.isClustered) return;
  const last = await lastSequence(nats, stream);
  if (last >= heard()) return;
  logger.error({ stream, heard: heard(), last }, "the stream lost what was stored");
  onRewind(last);
}

/** Until the consumer may be lost: it dies with its server, and the library then waits for it in silence. */
async function followOnce(nats: Nats, following: Following): Promise<void> {
  const { stream, heard, onMessage, signal } = following;
  const lost = new AbortController();
  const end = AbortSignal.any([signal, lost.signal]);
  const offReconnect = nats.onReconnect(() => lost.abort());
  let messages: ConsumerMessages | undefined;
  try {
    // A request that is under way when the connection is cut is lost without a word; an attempt makes it again.
    const consumer = await nats.attempt(
      "following a stream",
      () =>
        nats.js.consumers.get(stream, {
          deliver_policy: DeliverPolicy.StartSequence,
          opt_start_seq: heard() + 1,
          inactive_threshold: inactiveMs,
        }),
      { repeatMs: placementRepeatMs },
    );
    messages = await consumer.consume({ max_messages: 500, idle_heartbeat: idleHeartbeatMs });
    const consuming = messages;
    const watching = watchForLoss(consuming, () => lost.abort());
    end.addEventListener("abort", () => consuming.stop(), { once: true });
    if (end.aborted) consuming.stop();
    for await (const message of consuming) onMessage(message);
    await watching;
    if (signal.aborted && nats.isConnected()) await consumer.delete().catch(() => false);
  } finally {
    messages?.stop();
    offReconnect();
  }
}

async function watchForLoss(messages: ConsumerMessages, onLost: () => void): Promise<void> {
  for await (const status of messages.status()) if (signsOfLoss.has(status.type)) onLost();
}
