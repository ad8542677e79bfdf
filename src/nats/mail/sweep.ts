import { isRouterError } from "../../domain/errors.ts";
import { isSettled } from "../../domain/messages/delivery-rules.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { openBucket } from "../bucket.ts";
import type { Nats } from "../connection.ts";
import type { FoldedRecords } from "./delivery-codec.ts";
import { foldSession } from "./delivery-summary.ts";
import type { FanOut, StoredMessage } from "./fan-out.ts";
import { instanceFilter } from "../instance.ts";
import { createLease } from "../lease.ts";
import { recordsPerRead } from "./mailbox-records.ts";
import { decodeCopy } from "./message-codec.ts";
import { startPeriodic } from "../periodic.ts";
import { allHeaders } from "../header-listing.ts";
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

interface FoundMessage extends StoredMessage {
  /** Parties whose copies were found. */
  readonly holders: Set<string>;
}

/**
 * Puts right what an instance left half done when it died: fan-outs that reached only some recipients, and copies that
 * are settled but not deleted. One instance at a time looks through the whole store, when it takes over or when another
 * one has vanished. What it takes for half done may be still under way: to complete that does no harm.
 */
export function startSweep(options: SweepOptions): AsyncDisposable {
  const { nats, logger, instanceId } = options;
  const bucket = openBucket<{ readonly instanceId: string }>(nats, buckets.presence);
  const lease = createLease({ bucket, name: "sweep", instanceId, ttlMs: leaseTtlMs });
  const stopping = new AbortController();
  let isHolder = false;
  let alive: ReadonlySet<string> = new Set<string>();
  let askedAt = 0;
  let passedAt = Number.NEGATIVE_INFINITY;
  const tick = async (): Promise<void> => {
    const keys = new Set((await bucket.list([instanceFilter])).map(({ key }) => key));
    if ([...alive].some((key) => !keys.has(key))) askedAt = performance.now();
    alive = keys;
    const wasHolder = isHolder;
    isHolder = await lease.hold();
    if (!isHolder) return;
    if (!wasHolder) askedAt = performance.now();
    const startedAt = performance.now();
    if (passedAt >= askedAt && startedAt - passedAt < idlePassMs) return;
    await pass(options, stopping.signal);
    // Only now: a pass that failed is made again at the next tick.
    passedAt = startedAt;
  };
  const periodic = startPeriodic(tick, { intervalMs: tickMs, what: "sweeping the store", logger });
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await periodic[Symbol.asyncDispose]();
      if (isHolder && nats.isConnected()) await lease.release().catch(() => undefined);
    },
  };
}

/** Looks at the headers of every copy there is. */
async function pass(options: SweepOptions, signal: AbortSignal): Promise<void> {
  const page = new Map<string, FoundMessage>();
  const copies = allHeaders(options.nats, streams.messages, subjects.allMessages);
  for await (const { subject, headers } of copies) {
    if (signal.aborted) return;
    const { partyId, sessionId, messageId } = parseMessageSubject(subject);
    const { facts } = decodeCopy(subject, headers, noPayload);
    const key = keyOf(sessionId, messageId);
    const found = page.get(key) ?? { sessionId, messageId, facts, holders: new Set() };
    found.holders.add(partyId);
    page.set(key, found);
    // Copies of one message are stored together, so that most are on one page.
    if (page.size <= recordsPerRead) continue;
    await lookAt(options, page, signal);
    page.clear();
  }
  await lookAt(options, page, signal);
}

const noPayload = new Uint8Array();

async function lookAt(
  options: SweepOptions,
  page: ReadonlyMap<string, FoundMessage>,
  signal: AbortSignal,
): Promise<void> {
  const messages = [...page.values()];
  const sessionIds = new Set(messages.map(({ sessionId }) => sessionId));
  const stored = await lastMessages(options.nats, streams.deliveries, [
    ...messages.map(({ sessionId, messageId }) => subjects.deliveriesOf(sessionId, messageId)),
    ...[...sessionIds].map(subjects.deliverySummary),
  ]);
  const bySession = Map.groupBy(stored, ({ subject }) => parseDeliverySubject(subject).sessionId);
  for (const sessionId of sessionIds) {
    const records = foldSession(bySession.get(sessionId) ?? []);
    for (const message of messages.filter((one) => one.sessionId === sessionId)) {
      if (signal.aborted) return;
      await putRight(options, message, records.get(message.messageId));
    }
  }
}

async function putRight(
  { fanOut, settler, logger }: SweepOptions,
  message: FoundMessage,
  records: FoldedRecords | undefined,
): Promise<void> {
  const { sessionId, messageId, facts, holders } = message;
  for (const partyId of holders) {
    const own = records?.byParty.get(partyId);
    if (own !== undefined && isSettled(own)) settler.add({ partyId, sessionId }, messageId);
  }
  const served = new Set([...holders, ...(records?.byParty.keys() ?? [])]);
  try {
    if (served.size < facts.toPositions.length) await fanOut.repair(message);
  } catch (error) {
    if (isRouterError(error, "BROKER_UNAVAILABLE")) throw error;
    logger.warn({ messageId, err: error }, "a partial fan-out could not be completed");
  }
}

function keyOf(sessionId: string, messageId: string): string {
  return `${sessionId}.${messageId}`;
}
