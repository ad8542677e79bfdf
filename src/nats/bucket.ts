import { Kvm, KvWatchInclude } from "@nats-io/kv";
import type { Nats } from "./connection.ts";
import { decodeRecord, encodeRecord } from "./json.ts";
import { publishExpected } from "./publishing.ts";
import { lastMessages, leaderMessage } from "./reading.ts";

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

/** A key-value bucket of JSON records. Reads of one key come from the leader. */
export interface Bucket<T> {
  get(key: string): Promise<Entry<T> | undefined>;
  /** Durable when it resolves with the new revision; `undefined` when the expected revision was not there. */
  put(key: string, value: T, options?: PutOptions): Promise<number | undefined>;
  /** Removes the key without a trace: a watcher is not told, and the key may be created again. */
  remove(key: string): Promise<void>;
  /** Newest entries of keys that match the filters (`*` and `>` as in subjects), possibly a moment old on a cluster. */
  list(filters: readonly string[]): Promise<readonly Entry<T>[]>;
  /** Sequence of the bucket's newest write, from the leader. */
  lastRevision(): Promise<number>;
  /** Every current entry (unless only updates are wanted), then every change, in order, through reconnects. */
  watch(signal: AbortSignal, from?: "all" | "updates"): AsyncIterable<Entry<T>>;
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
      const found = await lastMessages(nats, stream, filters.map(subjectOf));
      return found.map((stored) => ({
        key: keyOf(stored.subject),
        value: decodeRecord<T>(stored.data),
        revision: stored.seq,
      }));
    },
    async lastRevision() {
      const info = await nats.attempt(`reading ${name}`, () => nats.jsm.streams.info(stream));
      return info.state.last_seq;
    },
    async *watch(signal, from = "all") {
      const kv = await new Kvm(nats.js).open(name);
      const entries = await kv.watch({
        include: from === "all" ? KvWatchInclude.LastValue : KvWatchInclude.UpdatesOnly,
      });
      const stop = (): void => entries.stop();
      signal.addEventListener("abort", stop, { once: true });
      try {
        if (signal.aborted) return;
        for await (const entry of entries) {
          if (entry.operation !== "PUT") continue;
          yield { key: entry.key, value: decodeRecord<T>(entry.value), revision: entry.revision };
        }
      } finally {
        signal.removeEventListener("abort", stop);
        entries.stop();
      }
    },
  };
}

/** A time to live as the server reads it: whole seconds, rounded up. */
export function ttlOf(ms: number): string {
  return `${Math.max(1, Math.ceil(ms / 1_000))}s`;
}
