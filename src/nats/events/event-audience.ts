import { withinBudget } from "../../domain/call-budget.ts";
import type { EventAudience } from "../../domain/events/event-ports.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { openBucket, type Bucket } from "../bucket.ts";
import type { Nats } from "../connection.ts";
import { instanceFilter, instanceOfKey, type InstanceLife } from "../instance.ts";
import { startPeriodic } from "../periodic.ts";
import { buckets } from "../subjects.ts";

/** Entries of an instance that crashed count no more from its death on; this only removes them. */
const keepMs = 3_600_000;
const rewriteMs = 1_200_000;
const sweepMs = 1_000;
const parallelWrites = 64;
/** The end of a stream waits no longer until others know of it, in milliseconds. */
const leavingMs = 250;

interface StreamRecord {
  readonly eventTypes: readonly string[];
}

/** One open stream of this instance. */
interface OwnStream {
  readonly key: string;
  readonly partyId: string;
  readonly record: StreamRecord;
  /** On the monotonic clock; 0 when it has to be written. */
  writtenAt: number;
}

export interface EventAudienceOptions {
  readonly instance: InstanceLife;
  readonly logger: Logger;
}

/** Keeps one key a stream in the memory bucket, valid only while the instance that holds the stream lives. */
export function openEventAudience(
  nats: Nats,
  { instance, logger }: EventAudienceOptions,
): EventAudience & AsyncDisposable {
  const bucket = openBucket<StreamRecord>(nats, buckets.presence);
  const own = new Map<string, OwnStream>();
  const left = new Set<string>();
  let streamCount = 0;

  const write = async (stream: OwnStream): Promise<void> => {
    const now = performance.now();
    if (!own.has(stream.key)) return;
    await bucket.put(stream.key, stream.record, { ttlMs: keepMs });
    stream.writtenAt = now;
    // It may have ended meanwhile, and its removal have come first.
    if (!own.has(stream.key)) left.add(stream.key);
  };
  const remove = async (key: string): Promise<void> => {
    await bucket.remove(key);
    left.delete(key);
  };
  const sweep = async (): Promise<void> => {
    const now = performance.now();
    const due = [...own.values()].filter(
      ({ writtenAt }) => writtenAt === 0 || now - writtenAt > rewriteMs,
    );
    await inParallel(due, write);
    await inParallel([...left], remove);
  };
  const what = "writing who listens to events";
  const periodic = startPeriodic(sweep, { intervalMs: sweepMs, what, logger });
  // A memory bucket is empty after its server was started again.
  const offReconnect = nats.onReconnect(() => {
    for (const stream of own.values()) stream.writtenAt = 0;
    periodic.wake();
  });
  return {
    async enter(partyId, eventTypes) {
      streamCount += 1;
      const key = `aud.${instance.id}.${partyId}.${streamCount}`;
      const stream = { key, partyId, record: { eventTypes }, writtenAt: 0 };
      const leave = async (): Promise<void> => {
        if (!own.delete(key)) return;
        left.add(key);
        // What cannot be removed now is removed by a later sweep: the end of a stream must not wait for the broker.
        await withinBudget("leaving", remove(key), leavingMs).catch(() => undefined);
      };
      own.set(key, stream);
      try {
        await write(stream);
      } catch (error) {
        void leave();
        throw error;
      }
      return { [Symbol.asyncDispose]: leave };
    },
    async count(partyIds, eventType) {
      const wanted = new Set(partyIds);
      const streams = await liveStreams(bucket, [...wanted]);
      for (const stream of own.values()) if (wanted.has(stream.partyId)) streams.push(stream);
      const matching = streams.filter(({ record }) => wants(record, eventType));
      return new Set(matching.map(({ partyId }) => partyId)).size;
    },
    async hasStream(partyId) {
      return (await liveStreams(bucket, [partyId])).length > 0;
    },
    async [Symbol.asyncDispose]() {
      offReconnect();
      await periodic[Symbol.asyncDispose]();
    },
  };
}

/** Streams of these parties on instances that live. */
async function liveStreams(
  bucket: Bucket<StreamRecord>,
  partyIds: readonly string[],
): Promise<Pick<OwnStream, "partyId" | "record">[]> {
  const filters = partyIds.map((partyId) => `aud.*.${partyId}.*`);
  const entries = await bucket.list([instanceFilter, ...filters]);
  const alive = new Set(entries.map((entry) => instanceOfKey(entry.key)));
  return entries.flatMap(({ key, value }) => {
    const [kind, instanceId = "", partyId = ""] = key.split(".");
    return kind === "aud" && alive.has(instanceId) ? [{ partyId, record: value }] : [];
  });
}

function wants(record: StreamRecord, eventType: string): boolean {
  return record.eventTypes.length === 0 || record.eventTypes.includes(eventType);
}

async function inParallel<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  for (let done = 0; done < items.length; done += parallelWrites) {
    await Promise.all(items.slice(done, done + parallelWrites).map(act));
  }
}
