import { JetStreamStatus } from "@nats-io/jetstream/internal";
import {
  createInbox,
  nanos,
  type Msg,
  type MsgImpl,
  type Subscription,
} from "@nats-io/transport-node";
import type { Nats } from "../connection.ts";
import { createOpenRequest } from "./open-request.ts";
import { toPulled, type Pulled } from "./pulled.ts";

/**
 * Pulls from a consumer, and holds no more than a bounded number of bytes. The client library's own `consume` asks for
 * more as messages arrive rather than as they are taken, so a reader that has stopped would fill the memory.
 */
export interface Puller extends Disposable {
  /** Messages that arrived and are not taken yet, in order. */
  readonly waiting: readonly Pulled[];
  take(): Pulled | undefined;
  /** Asks for up to `max` more if there is room; one request is open at a time. */
  refill(max: number): void;
  /** The consumer is gone, or silent though it promised a sign of life. */
  isLost(): boolean;
  /** Deliveries of the consumer that have arrived: fewer than it made, and some were lost on their way. */
  heardCount(): number;
  /** Whether a request has been open for so long. */
  hasWaited(ms: number): boolean;
  /** Gives up the request that is open, whose answer may be lost. What has arrived stays. */
  askAnew(): void;
}

export interface PullOptions {
  readonly nats: Nats;
  readonly stream: string;
  readonly consumer: string;
  /** Held at most, but for a message that is larger by itself. */
  readonly maxBytes: number;
  /** Called whenever something has changed. */
  readonly onChange: () => void;
}

const maxMessages = 256;
const expiresMs = 30_000;
const heartbeatMs = 15_000;
/** Silence after which a consumer counts as lost, in milliseconds. */
const maxSilenceMs = 2 * heartbeatMs + 5_000;

export function startPull(options: PullOptions): Puller {
  const { nats } = options;
  const waiting: Pulled[] = [];
  let heldBytes = 0;
  const open = createOpenRequest();
  let isGone = false;
  /** The next message is larger than what was asked for: it is asked for by itself, once there is nothing else. */
  let isNextLarge = false;
  let heardAt = performance.now();
  let [requests, heardCount] = [0, 0];

  const onStatus = (message: Msg): void => {
    const status = new JetStreamStatus(message);
    if (status.isConsumerDeleted() || status.isStreamDeleted() || status.code === 503) {
      isGone = true;
    } else if (!status.isIdleHeartbeat() && open.endAt(message.subject)) {
      isNextLarge = status.isMessageSizeExceedsMaxBytes();
    }
  };
  const onMessage = (message: Msg): void => {
    const pulled = toPulled(nats, message);
    open.bring((message as MsgImpl).size());
    heldBytes += pulled.bytes;
    heardCount += 1;
    waiting.push(pulled);
  };
  const hear = (message: Msg, isStatus: boolean): void => {
    heardAt = performance.now();
    (isStatus ? onStatus : onMessage)(message);
    options.onChange();
  };
  let inbox = createInbox();
  let subscription = listen(nats, inbox, hear);

  const request = (batch: number): void => {
    const maxBytes = isNextLarge ? Number.POSITIVE_INFINITY : options.maxBytes - heldBytes;
    isNextLarge = false;
    heardAt = performance.now();
    const reply = `${inbox}.${(requests += 1)}`;
    open.begin({ reply, batch, maxBytes });
    nats.nc.publish(nextSubject(options), requestBody(batch, maxBytes), { reply });
  };

  return {
    waiting,
    take() {
      const message = waiting.shift();
      if (message !== undefined) heldBytes -= message.bytes;
      return message;
    },
    refill(max) {
      if (max < 1 || isGone || open.isOpen() || nats.nc.isClosed()) return;
      if (isNextLarge) {
        if (waiting.length === 0) request(1);
      } else if (heldBytes <= options.maxBytes / 2 && waiting.length <= maxMessages / 2) {
        request(Math.min(max, maxMessages - waiting.length));
      }
    },
    isLost: () => isGone || (open.isOpen() && performance.now() - heardAt > maxSilenceMs),
    heardCount: () => heardCount,
    hasWaited: (ms) => open.isOpenFor(ms),
    askAnew() {
      // What is on its way to the old place still arrives.
      subscription.drain().catch(() => undefined);
      inbox = createInbox();
      subscription = listen(nats, inbox, hear);
      open.forget();
      isGone = false;
    },
    [Symbol.dispose]: () => subscription.unsubscribe(),
  };
}

/** Each request is answered at a place of its own under the inbox. */
function listen(
  nats: Nats,
  inbox: string,
  hear: (message: Msg, isStatus: boolean) => void,
): Subscription {
  return nats.nc.subscribe(`${inbox}.*`, {
    callback: (error, message) => {
      if (error === null) hear(message, message.subject.startsWith(inbox));
    },
  });
}

function nextSubject({ stream, consumer }: PullOptions): string {
  return `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`;
}

function requestBody(batch: number, maxBytes: number): string {
  return JSON.stringify({
    batch,
    ...(Number.isFinite(maxBytes) ? { max_bytes: maxBytes } : {}),
    expires: nanos(expiresMs),
    idle_heartbeat: nanos(heartbeatMs),
  });
}
