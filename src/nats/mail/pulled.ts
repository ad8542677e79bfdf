import type { Msg, MsgHdrs } from "@nats-io/transport-node";
import type { Nats } from "../connection.ts";

/** A message that a consumer gave out, and how to answer it. */
export interface Pulled {
  readonly subject: string;
  readonly headers: MsgHdrs | undefined;
  readonly data: Uint8Array;
  /** Place in the stream. */
  readonly sequence: number;
  /** Place among all deliveries of this consumer, from 1. */
  readonly consumerSequence: number;
  /** How often this consumer gave it out, from 1. */
  readonly deliveryCount: number;
  /** Unix milliseconds at which it was stored. */
  readonly storedAt: number;
  /** What it weighs in memory, in bytes. */
  readonly bytes: number;
  /** Settles it with the consumer. */
  ack(): void;
  /** Asks for it again after a delay; never without one, or the server would send it again at once, for ever. */
  nak(delayMs: number): void;
}

/**
 * Reads the reply subject of a delivery: `$JS.ACK.[domain.account.]stream.consumer.count.sequence.consumerSequence.
 * nanoseconds.pending[.token]`, see NATS ADR-15.
 */
export function toPulled(nats: Nats, message: Msg): Pulled {
  const reply = message.reply ?? "";
  const tokens = reply.split(".");
  const start = tokens.length > 9 ? 6 : 4;
  const [count, sequence, consumerSequence, storedNanos] = tokens.slice(start);
  const answer = (body: string): void => {
    if (!nats.nc.isClosed()) nats.nc.publish(reply, body);
  };
  return {
    subject: message.subject,
    headers: message.headers,
    data: message.data,
    sequence: Number(sequence),
    consumerSequence: Number(consumerSequence),
    deliveryCount: Number(count),
    // Fewer digits than a double can hold, once the last six are cut.
    storedAt: Number(storedNanos?.slice(0, -6)),
    bytes: message.data.length + 512,
    ack: () => answer("+ACK"),
    nak: (delayMs) => answer(`-NAK {"delay":${Math.max(1, Math.round(delayMs)) * 1_000_000}}`),
  };
}
