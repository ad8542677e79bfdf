import { BoundedMap } from "../../domain/bounded-map.ts";
import type { Pulled } from "./pulled.ts";

/** What a stream has given out and not seen settled yet, and what it heard of before it could give it. */
export interface Window {
  /** Bytes given out and not settled. */
  readonly bytes: number;
  /** Highest place in the message stream of anything given or skipped for good. */
  readonly highestSequence: number;
  /** Notes that a message goes out. */
  give(messageId: string, pulled: Pulled, nowMs: number): void;
  /** Notes that a message need not go out. */
  skip(pulled: Pulled): void;
  /** A note says that it is settled: answers the consumer, or remembers it for when the message comes. */
  settle(messageId: string): void;
  /** A note says that it was refused: asks the consumer for it again. */
  refuse(refusal: Refused, nowMs: number): void;
  /** Whether a note has said that the message, not given out since, is settled. */
  isSettled(messageId: string): boolean;
  /**
   * How long the message may not be given out again, in milliseconds: a consumer that was made anew brings what is
   * still being processed.
   */
  holdMs(messageId: string, nowMs: number): number;
}

/** A refusal, as the instance that took it tells of it. */
interface Refused {
  readonly messageId: string;
  readonly redeliverAfterMs: number;
}

interface Given {
  pulled: Pulled;
  /** Unix milliseconds at which another delivery is due. */
  dueAt: number;
}

/** Notes of messages that have not come yet, kept at once. */
const maxEarlyNotes = 4_096;

export function createWindow(ackWaitMs: number): Window {
  const given = new Map<string, Given>();
  const settledEarly = new BoundedMap<string, true>(maxEarlyNotes);
  let bytes = 0;
  let highestSequence = 0;
  const drop = (messageId: string): Given | undefined => {
    const entry = given.get(messageId);
    if (entry === undefined) return undefined;
    given.delete(messageId);
    bytes -= entry.pulled.bytes;
    return entry;
  };
  return {
    get bytes() {
      return bytes;
    },
    get highestSequence() {
      return highestSequence;
    },
    give(messageId, pulled, nowMs) {
      drop(messageId);
      given.set(messageId, { pulled: withoutData(pulled), dueAt: nowMs + ackWaitMs });
      bytes += pulled.bytes;
      highestSequence = Math.max(highestSequence, pulled.sequence);
    },
    skip(pulled) {
      highestSequence = Math.max(highestSequence, pulled.sequence);
    },
    settle(messageId) {
      const entry = drop(messageId);
      if (entry !== undefined) {
        entry.pulled.ack();
        return;
      }
      settledEarly.set(messageId, true);
    },
    refuse({ messageId, redeliverAfterMs }, nowMs) {
      const entry = given.get(messageId);
      if (entry === undefined) return;
      entry.dueAt = nowMs + redeliverAfterMs;
      entry.pulled.nak(redeliverAfterMs);
    },
    isSettled: (messageId) => settledEarly.has(messageId),
    holdMs: (messageId, nowMs) => Math.max(0, (given.get(messageId)?.dueAt ?? 0) - nowMs),
  };
}

/** The payload has gone out: what remains is how to answer the consumer. */
function withoutData(pulled: Pulled): Pulled {
  return { ...pulled, data: new Uint8Array(), headers: undefined };
}
