import { BoundedMap } from "../../domain/bounded-map.ts";
import { createGivenMessages } from "./given.ts";
import type { Pulled } from "./pulled.ts";

/** What a stream has given out and not seen settled yet, and what it heard of before it could give it. */
export interface Window {
  /** Messages given out and not settled. */
  readonly count: number;
  /** Their bytes. */
  readonly bytes: number;
  /** Highest place in the message stream of anything given or skipped for good. */
  readonly highestSequence: number;
  /** Notes that a message goes out. */
  give(messageId: string, pulled: Pulled, nowMs: number): void;
  /** Notes that a message need not go out. */
  skip(pulled: Pulled): void;
  /** Notes that a message came again before it may go out again: this is the delivery to be answered now. */
  hold(messageId: string, pulled: Pulled): void;
  /** It is settled: answers the consumer, or remembers it for when the message comes. */
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
  /** How many messages are to be given out again by now. */
  dueCount(nowMs: number): number;
  /**
   * Some messages that should have come again or been settled by now: the note of their end may be lost, and a copy that is
   * deleted never comes again. Each is named once per ack wait.
   */
  takeDoubtful(nowMs: number, max: number): readonly string[];
  isDoubtful(nowMs: number): boolean;
  /** Notes may have been lost: every message is doubtful. */
  doubtAll(): void;
}

/** A refusal, as the instance that took it tells of it. */
interface Refused {
  readonly messageId: string;
  readonly redeliverAfterMs: number;
}

/** Notes of messages that have not come yet, kept at once. */
const maxEarlyNotes = 4_096;

export function createWindow(ackWaitMs: number): Window {
  const given = createGivenMessages(ackWaitMs);
  const settledEarly = new BoundedMap<string, true>(maxEarlyNotes);
  let highestSequence = 0;
  return {
    get count() {
      return given.count;
    },
    get bytes() {
      return given.bytes;
    },
    get highestSequence() {
      return highestSequence;
    },
    give(messageId, pulled, nowMs) {
      given.add(messageId, withoutData(pulled), nowMs);
      highestSequence = Math.max(highestSequence, pulled.sequence);
    },
    skip(pulled) {
      highestSequence = Math.max(highestSequence, pulled.sequence);
    },
    hold(messageId, pulled) {
      const entry = given.get(messageId);
      if (entry !== undefined) entry.pulled = withoutData(pulled);
    },
    settle(messageId) {
      const entry = given.drop(messageId);
      if (entry === undefined) settledEarly.set(messageId, true);
      else entry.pulled.ack();
    },
    refuse({ messageId, redeliverAfterMs }, nowMs) {
      const entry = given.get(messageId);
      if (entry === undefined) return;
      entry.dueAt = nowMs + redeliverAfterMs;
      entry.pulled.nak(redeliverAfterMs);
    },
    isSettled: (messageId) => settledEarly.has(messageId),
    holdMs: (messageId, nowMs) => Math.max(0, (given.get(messageId)?.dueAt ?? 0) - nowMs),
    dueCount: (nowMs) => given.dueCount(nowMs),
    takeDoubtful: (nowMs, max) => given.takeDoubtful(nowMs, max),
    isDoubtful: (nowMs) => given.isDoubtful(nowMs),
    doubtAll: () => given.doubtAll(),
  };
}

/** The payload has gone out: what remains is how to answer the consumer. */
function withoutData(pulled: Pulled): Pulled {
  return { ...pulled, data: new Uint8Array(), headers: undefined };
}
