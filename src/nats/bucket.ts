import { setTimeout as delay } from "node:timers/promises";
import type { StoredMsg } from "@nats-io/jetstream";
import { callBudgetMs, withinBudget } from "../domain/call-budget.ts";
import { brokerUnavailable } from "../domain/errors.ts";
import type { Nats } from "./connection.ts";
import { decodeRecord, encodeRecord } from "./json.ts";
import { publishExpected } from "./publishing.ts";
import { lastMessages, leaderMessage } from "./reading.ts";
import { leaderMessages } from "./sure-reading.ts";

export interface Entry<T> {
  readonly key: string;
  readonly value: T;
  readonly revision: number;
}

interface PutOptions {
  /** Revision the key must have now; 0: the key must not exist. Absent: whatever it has. */
  readonly expectRevision?: number;
  /** Time after which the server forgets the value, in milliseconds; whole seconds, at least one. */
  readonly ttlMs?: number;
}

/** Who lost a compare-and-set waits up to this long before the next try, in milliseconds. */
const maxPauseMs = 20;

/** A key-value bucket of JSON records. Every read comes from the leader. */
export interface Bucket<T> {
  get(key: string): Promise<Entry<T> | undefined>;
  /** Durable when it resolves with the new revision; `undefined` when the expected revision was not there. */
  put(key: string, value: T, options?: PutOptions): Promise<number | undefined>;
  /** Removes the key without a trace: a watcher is not told, and the key may be created again. */
  remove(key: string): Promise<void>;
  /** Newest entries of keys that match the filters (`*` and `>` as in subjects): few, since a cluster is asked for each. */
  list(filters: readonly string[]): Promise<readonly Entry<T>[]>;
}

export function openBucket<T extends object>(nats: Nats, name: string): Bucket<T> {
  const stream = `KV_${name}`;
  const subjectOf = (key: string): string => `$KV.${name}.${key}`;
  const keyOf = (subject: string): string => subject.slice(`$KV.${name}.`.length);
  return {
    async get(key) {
      const stored = await leaderMessage(nats, stream, subjectOf(key));
      if (stored === undefined) return undefined;
      return { key, value: decodeRecord<T>(stored.data), revision: stored.seq };
    },
    async put(key, value, options = {}) {
      const { expectRevision: lastSequence, ttlMs } = options;
      const what = `writing ${name}`;
      const subject = subjectOf(key);
      const data = encodeRecord(value);
      const ttl = ttlMs === undefined ? {} : { ttl: ttlOf(ttlMs) };
      if (lastSequence !== undefined) {
        return publishExpected(nats, { what, stream, subject, data, lastSequence, ...ttl });
      }
      const ack = await nats.attempt(what, () => nats.js.publish(subject, data, ttl));
      return ack.seq;
    },
    async remove(key) {
      await nats.attempt(`writing ${name}`, () =>
        nats.jsm.streams.purge(stream, { filter: subjectOf(key) }),
      );
    },
    async list(filters) {
      const found = await newestOf(nats, stream, filters.map(subjectOf));
      return found.map((stored) => ({
        key: keyOf(stored.subject),
        value: decodeRecord<T>(stored.data),
        revision: stored.seq,
      }));
    },
  };
}

async function newestOf(
  nats: Nats,
  stream: string,
  filters: readonly string[],
): Promise<readonly StoredMsg[]> {
  if (!nats.isClustered) return lastMessages(nats, stream, filters);
  return (await Promise.all(filters.map((one) => leaderMessages(nats, stream, one)))).flat();
}

/**
 * Tries a compare-and-set until it holds: `undefined` says that somebody else was faster. BROKER_UNAVAILABLE when the
 * call budget is spent.
 */
export function untilHeld<T>(what: string, once: () => Promise<T | undefined>): Promise<T> {
  const giveUpAt = performance.now() + callBudgetMs;
  const holding = async (): Promise<T> => {
    while (performance.now() < giveUpAt) {
      const held = await once();
      if (held !== undefined) return held;
      // Differently long, or those who lost together would meet again.
      await delay(Math.random() * maxPauseMs);
    }
    throw brokerUnavailable(what);
  };
  return withinBudget(what, holding());
}

/** A time to live as the server reads it: whole seconds, rounded up. */
export function ttlOf(ms: number): string {
  return `${Math.max(1, Math.ceil(ms / 1_000))}s`;
}
