import { isSettled } from "../../domain/messages/delivery-rules.ts";
import type { Mailbox, MessageFacts } from "../../domain/messages/message.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { openBucket } from "../bucket.ts";
import type { Nats } from "../connection.ts";
import { foldRecords } from "./delivery-codec.ts";
import type { FanOut } from "./fan-out.ts";
import { instanceFilter } from "../instance.ts";
import { createLease } from "../lease.ts";
import { recordsPerRead } from "./mailbox-records.ts";
import { decodeCopy } from "./message-codec.ts";
import { startPeriodic } from "../periodic.ts";
import { lastMessages } from "../reading.ts";
import type { Settler } from "./settler.ts";
import {
  buckets,
  parseDeliverySubject,
  parseMessageSubject,
  streams,
  subjects,
} from "../subjects.ts";

export interface SweepOptions {
  readonly nats: Nats;
  readonly fanOut: FanOut;
  readonly settler: Settler;
  readonly logger: Logger;
  readonly instanceId: string;
}

const tickMs = 1_000;
const leaseTtlMs = 3_000;
/** A pass without a reason is made this often, in milliseconds. */
const idlePassMs = 600_000;
/** A younger message may still be on its way to its other recipients, in milliseconds. */
const minAgeMs = 2_000;

interface Copy {
  readonly box: Mailbox;
  readonly messageId: string;
  readonly facts: MessageFacts;
}

/**
 * Puts right what an instance left half done when it died: fan-outs that reached only some recipients, and copies that
 * are settled but not deleted. One instance at a time looks through the whole store, when it takes over or when another
 * one has vanished.
 */
export function startSweep(options: SweepOptions): AsyncDisposable {
  const { nats, logger, instanceId } = options;
  const bucket = openBucket<{ readonly instanceId: string }>(nats, buckets.presence);
  const lease = createLease({ bucket, name: "sweep", instanceId, ttlMs: leaseTtlMs });
  let isHolder = false;
  let alive = new Set<string>();
  let passedAt = 0;
  const tick = async (): Promise<void> => {
    const keys = new Set((await bucket.list([instanceFilter])).map(({ key }) => key));
    const hasVanished = [...alive].some((key) => !keys.has(key));
    alive = new Set([...alive, ...keys]);
    const wasHolder = isHolder;
    isHolder = await lease.hold();
    const isDue = !wasHolder || hasVanished || performance.now() - passedAt > idlePassMs;
    if (!isHolder || !isDue) return;
    await pass(options);
    passedAt = performance.now();
    // Only now: a pass that failed is made again at the next tick.
    alive = keys;
  };
  const periodic = startPeriodic(tick, { intervalMs: tickMs, what: "sweeping the store", logger });
  return {
    async [Symbol.asyncDispose]() {
      await periodic[Symbol.asyncDispose]();
      if (isHolder && nats.isConnected()) await lease.release().catch(() => undefined);
    },
  };
}

/** Looks at the headers of every copy there is. */
async function pass(options: SweepOptions): Promise<void> {
  const repaired = new Set<string>();
  let page: Copy[] = [];
  for await (const copy of copies(options.nats)) {
    page.push(copy);
    if (page.length < recordsPerRead) continue;
    await lookAt(options, page, repaired);
    page = [];
  }
  await lookAt(options, page, repaired);
}

async function* copies(nats: Nats): AsyncGenerator<Copy> {
  const consumer = await nats.js.consumers.get(streams.messages, {
    filter_subjects: subjects.allMessages,
    headers_only: true,
  });
  let left = (await consumer.info()).num_pending;
  const newestAt = nats.clock.nowMs() - minAgeMs;
  while (left > 0) {
    const found = await consumer.fetch({ max_messages: Math.min(left, 1_000), expires: 2_000 });
    left = 0;
    for await (const stored of found) {
      left = stored.info.pending;
      const { partyId, sessionId, messageId } = parseMessageSubject(stored.subject);
      const { facts } = decodeCopy(stored.subject, stored.headers, stored.data);
      if (facts.createdAt <= newestAt) yield { box: { partyId, sessionId }, messageId, facts };
    }
  }
  await consumer.delete();
}

async function lookAt(
  { nats, settler, fanOut }: SweepOptions,
  page: readonly Copy[],
  repaired: Set<string>,
): Promise<void> {
  const filters = page.map(({ box, messageId }) => subjects.deliveriesAt(box, messageId));
  const stored = await lastMessages(nats, streams.deliveries, filters);
  const records = Map.groupBy(stored, ({ subject }) => {
    const { partyId, sessionId, messageId } = parseDeliverySubject(subject);
    return `${partyId}.${sessionId}.${messageId}`;
  });
  for (const copy of page) {
    const { partyId, sessionId } = copy.box;
    const key = `${partyId}.${sessionId}.${copy.messageId}`;
    const own = foldRecords(records.get(key) ?? [])?.byParty.get(partyId);
    if (own !== undefined && isSettled(own)) settler.add(copy.box, copy.messageId);
    if (repaired.has(copy.messageId)) continue;
    repaired.add(copy.messageId);
    await fanOut.repair(copy);
  }
}
