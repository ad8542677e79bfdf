import { JetStreamStatus } from "@nats-io/jetstream/internal";
import { createInbox, nanos, type Msg } from "@nats-io/transport-node";
import type { Nats } from "../connection.ts";
import { toPulled, type Pulled } from "./pulled.ts";

/**
 * Pulls from a consumer, and holds no more than a bounded number of bytes. The client library's own `consume` asks for
 * more as messages arrive rather than as they are taken, so a reader that has stopped would fill the memory.
 */
export interface Puller extends Disposable {
  /** Messages that arrived and are not taken yet, in order. */
  readonly waiting: readonly Pulled[];
  take(): Pulled | undefined;
  /** Asks for more if there is room; while `allowed` is false nothing more is asked for. */
  refill(allowed: boolean): void;
  /** The consumer is gone, or silent though it promised a sign of life. */
  isLost(): boolean;
}

export interface PullOptions {
  readonly nats: Nats;
  readonly stream: string;
  readonly consumer: string;
  /** Held at most; must exceed the largest message. */
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
  const { nats, onChange } = options;
  const waiting: Pulled[] = [];
  let heldBytes = 0;
  /** How many messages the one open request may still bring. */
  let asked = 0;
  let isGone = false;
  /** The next message is larger than what was asked for: only all of the room will do. */
  let wantsAll = false;
  let heardAt = performance.now();
  const inbox = createInbox();

  const onStatus = (message: Msg): void => {
    const status = new JetStreamStatus(message);
    if (status.isIdleHeartbeat()) return;
    if (status.isConsumerDeleted() || status.isStreamDeleted() || status.code === 503) {
      isGone = true;
    } else {
      // The request has ended: expired, used up, or stopped at a message that does not fit.
      wantsAll = status.isMessageSizeExceedsMaxBytes();
      asked = 0;
    }
    onChange();
  };
  const subscription = nats.nc.subscribe(inbox, {
    callback: (error, message) => {
      if (error !== null) return;
      heardAt = performance.now();
      if (message.subject === inbox) {
        onStatus(message);
        return;
      }
      const pulled = toPulled(nats, message);
      asked = Math.max(0, asked - 1);
      heldBytes += pulled.bytes;
      waiting.push(pulled);
      onChange();
    },
  });

  const request = (): void => {
    asked = maxMessages - waiting.length;
    heardAt = performance.now();
    const body = {
      batch: asked,
      max_bytes: options.maxBytes - heldBytes,
      expires: nanos(expiresMs),
      idle_heartbeat: nanos(heartbeatMs),
    };
    const subject = `$JS.API.CONSUMER.MSG.NEXT.${options.stream}.${options.consumer}`;
    nats.nc.publish(subject, JSON.stringify(body), { reply: inbox });
  };

  return {
    waiting,
    take() {
      const message = waiting.shift();
      if (message !== undefined) heldBytes -= message.bytes;
      return message;
    },
    refill(allowed) {
      if (!allowed || isGone || asked > 0 || nats.nc.isClosed()) return;
      const hasRoom = wantsAll
        ? waiting.length === 0
        : heldBytes <= options.maxBytes / 2 && waiting.length <= maxMessages / 2;
      if (hasRoom) request();
    },
    isLost: () => isGone || (asked > 0 && performance.now() - heardAt > maxSilenceMs),
    [Symbol.dispose]: () => subscription.unsubscribe(),
  };
}
