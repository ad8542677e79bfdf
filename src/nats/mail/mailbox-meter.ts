import { setTimeout as delay } from "node:timers/promises";
import { BoundedMap } from "../../domain/bounded-map.ts";
import type { MailboxMeter, MailboxRoom } from "../../domain/messages/message-ports.ts";
import type { Mailbox } from "../../domain/messages/message.ts";
import type { Nats } from "../connection.ts";
import { createGauge, times, type Gauge, type GaugeLimits } from "./gauge.ts";
import { measureMailbox } from "./mailbox-size.ts";
import { streams } from "../subjects.ts";

export interface MailboxMeterOptions {
  readonly nats: Nats;
  /** Unacknowledged messages a party may have in a session. */
  readonly maxMessages: number;
  /** Unacknowledged bytes a party may have in a session. */
  readonly maxBytes: number;
}

/** Mailboxes measured by themselves at once; the longest known is forgotten first. */
const maxMailboxes = 50_000;
/** Measures that one call waits for at most, ever longer, while others keep filling the same mailboxes. */
const maxMeasures = 20;

/**
 * While all mail together is within the limits of one mailbox, no mailbox is looked at: one small read now and then is
 * enough. Only beyond that is each mailbox measured by itself.
 */
export function createMailboxMeter(options: MailboxMeterOptions): MailboxMeter {
  const { nats } = options;
  const limits: GaugeLimits = { messages: options.maxMessages, bytes: options.maxBytes };
  const gauges = new BoundedMap<string, Gauge>(maxMailboxes);
  const all = createGauge(limits, async () => {
    const { state } = await nats.attempt("measuring", () =>
      nats.jsm.streams.info(streams.messages),
    );
    return { messages: state.messages, bytes: state.bytes };
  });
  const gaugeOf = (box: Mailbox): Gauge => {
    const key = keyOf(box);
    const known = gauges.get(key);
    if (known !== undefined) return known;
    const fresh = createGauge(limits, () => measureMailbox(nats, box));
    gauges.set(key, fresh);
    return fresh;
  };

  /** Nothing may come between the judgement and the reservation that follows it. */
  const roomIn = (boxes: readonly Mailbox[], bytes: number): MailboxRoom => {
    const one = { messages: 1, bytes };
    const known = boxes.flatMap((box) => gauges.get(keyOf(box)) ?? []);
    const release = [
      all.reserve(times(one, boxes.length)),
      ...known.map((gauge) => gauge.reserve(one)),
    ];
    return { full: undefined, [Symbol.dispose]: () => release.forEach((letGo) => letGo()) };
  };

  return {
    async reserve(boxes, bytes) {
      const one = { messages: 1, bytes };
      const total = times(one, boxes.length);
      if (all.judge(total) === "unsure") await all.measure();
      for (let measures = 0; all.judge(total) !== "fits"; measures += 1) {
        const doubtful = boxes.find((box) => gaugeOf(box).judge(one) !== "fits");
        if (doubtful === undefined) break;
        const gauge = gaugeOf(doubtful);
        if (gauge.judge(one) === "full") return fullAt(doubtful);
        if (measures === maxMeasures) {
          if (gauge.fitsBySight(one)) break;
          return fullAt(doubtful);
        }
        // What is under way is soon known to be stored, and counts only once then.
        if (measures > 0) await delay(measures);
        await gauge.measure();
      }
      return roomIn(boxes, bytes);
    },
  };
}

function fullAt(box: Mailbox): MailboxRoom {
  return { full: box, [Symbol.dispose]: () => undefined };
}

function keyOf({ partyId, sessionId }: Mailbox): string {
  return `${partyId}.${sessionId}`;
}
