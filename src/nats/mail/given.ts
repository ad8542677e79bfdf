import type { Pulled } from "./pulled.ts";

/** The messages that a stream has given out and not seen settled yet. */
export interface GivenMessages {
  readonly count: number;
  readonly bytes: number;
  get(messageId: string): Given | undefined;
  /** Anew where it is there already. */
  add(messageId: string, pulled: Pulled, nowMs: number): void;
  /** Gives back what is no longer there; `undefined` when it was not. */
  drop(messageId: string): Given | undefined;
  /** How many are to be given out again by now. */
  dueCount(nowMs: number): number;
  isDoubtful(nowMs: number): boolean;
  /** Some that should have been given out again or settled by now. Each is named once per ack wait. */
  takeDoubtful(nowMs: number, max: number): readonly string[];
  doubtAll(): void;
}

interface Given {
  /** The delivery to be answered. */
  pulled: Pulled;
  /** Unix milliseconds at which another delivery is due. */
  dueAt: number;
  /** Unix milliseconds after which silence makes it doubtful. */
  doubtAt: number;
}

/** A redelivery that is due may take this long, in milliseconds. */
const graceMs = 1_000;

export function createGivenMessages(ackWaitMs: number): GivenMessages {
  // In the order of their `doubtAt`.
  const given = new Map<string, Given>();
  let bytes = 0;
  const drop = (messageId: string): Given | undefined => {
    const entry = given.get(messageId);
    if (entry === undefined) return undefined;
    given.delete(messageId);
    bytes -= entry.pulled.bytes;
    return entry;
  };
  const oldestDoubtful = (nowMs: number): [string, Given] | undefined => {
    const [oldest] = given;
    return oldest !== undefined && oldest[1].doubtAt <= nowMs ? oldest : undefined;
  };
  return {
    get count() {
      return given.size;
    },
    get bytes() {
      return bytes;
    },
    get: (messageId) => given.get(messageId),
    add(messageId, pulled, nowMs) {
      drop(messageId);
      const dueAt = nowMs + ackWaitMs;
      given.set(messageId, { pulled, dueAt, doubtAt: dueAt + graceMs });
      bytes += pulled.bytes;
    },
    drop,
    dueCount(nowMs) {
      let count = 0;
      for (const { dueAt } of given.values()) if (dueAt <= nowMs) count += 1;
      return count;
    },
    isDoubtful: (nowMs) => oldestDoubtful(nowMs) !== undefined,
    takeDoubtful(nowMs, max) {
      const taken: string[] = [];
      while (taken.length < max) {
        const oldest = oldestDoubtful(nowMs);
        if (oldest === undefined) break;
        const [messageId, entry] = oldest;
        given.delete(messageId);
        given.set(messageId, { ...entry, doubtAt: nowMs + ackWaitMs + graceMs });
        taken.push(messageId);
      }
      return taken;
    },
    doubtAll() {
      for (const entry of given.values()) entry.doubtAt = 0;
    },
  };
}
