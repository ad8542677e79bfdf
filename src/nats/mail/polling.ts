import { isDeliveredSinceRefusal, isSettled } from "../../domain/messages/delivery-rules.ts";
import type { CreationClock } from "../../domain/messages/creation-clock.ts";
import type { PendingQuery } from "../../domain/messages/message-ports.ts";
import {
  noRecords,
  type DeliveryRecords,
  type Mailbox,
  type Message,
  type MessageFacts,
} from "../../domain/messages/message.ts";
import type { Nats } from "../connection.ts";
import { recordDelivered } from "./delivery-log.ts";
import type { FactsCache } from "./facts-cache.ts";
import { mailboxPages } from "./mailbox-pages.ts";
import { recordsOf } from "./mailbox-records.ts";
import { decodeStored } from "./message-codec.ts";
import type { PollMarks } from "./poll-marks.ts";

/** Copies are read this many bytes at a time while looking for unsettled ones. */
const pageBytes = 4_194_304;
const pageMessages = 100;

export interface PollingOptions {
  readonly nats: Nats;
  readonly facts: FactsCache;
  readonly creationClock: CreationClock;
  readonly marks: PollMarks;
}

/** Reads what is unsettled in a mailbox, without a consumer, and notes its delivery. */
export async function pollMailbox(
  options: PollingOptions,
  box: Mailbox,
  query: PendingQuery,
): Promise<readonly Message[]> {
  const polled: PolledCopy[] = [];
  let bytes = 0;
  for await (const copy of unsettledCopies(options, box, query.createdAfter)) {
    bytes += encodedBytes(copy.message);
    if (polled.length > 0 && bytes > query.maxBytes) break;
    polled.push(copy);
    if (polled.length === query.maxMessages) break;
  }
  await Promise.all(polled.map((copy) => recordPolled(options.nats, box, copy)));
  for (const { message, facts } of polled) {
    options.facts.set(box, message.messageId, facts);
    options.creationClock.saw(box.sessionId, message.createdAt);
  }
  return polled.map(({ message }) => message);
}

/** In order, read page by page. */
async function* unsettledCopies(
  { nats, marks }: PollingOptions,
  box: Mailbox,
  createdAfter: number,
): AsyncGenerator<PolledCopy> {
  const pages = mailboxPages(nats, box, {
    from: marks.firstSequence(box, createdAfter),
    maxMessages: pageMessages,
    maxBytes: pageBytes,
  });
  let isOld = true;
  for await (const page of pages) {
    const all = page.map((stored) => ({ ...decodeStored(stored), copySequence: stored.seq }));
    const copies = all.filter(({ message }) => message.createdAt > createdAfter);
    isOld &&= copies.length === 0;
    if (isOld) {
      const newestAt = Math.max(...all.map(({ message }) => message.createdAt));
      const sequence = Math.max(...all.map(({ copySequence }) => copySequence));
      marks.pass(box, { sequence, newestAt });
    }
    const ids = copies.map(({ message }) => message.messageId);
    const records = await recordsOf(nats, box, ids);
    for (const copy of copies) {
      const known = records.get(copy.message.messageId) ?? noRecords;
      if (!isSettled(known)) yield { ...copy, known };
    }
  }
}

interface PolledCopy {
  readonly message: Message;
  readonly facts: MessageFacts;
  readonly copySequence: number;
  readonly known: DeliveryRecords;
}

/** A poll is a delivery of its own only where there was none, or where the last one was refused. */
async function recordPolled(
  nats: Nats,
  box: Mailbox,
  { message, facts, copySequence, known }: PolledCopy,
): Promise<void> {
  if (isDeliveredSinceRefusal(known)) return;
  const nowMs = nats.clock.nowMs();
  await recordDelivered(nats, {
    box,
    messageId: message.messageId,
    body: {
      facts,
      firstAt: known.delivered?.firstAt ?? nowMs,
      lastAt: nowMs,
      count: (known.delivered?.count ?? 0) + 1,
      copySequence,
    },
  });
}

/** The size in an answer: payload, texts, and the tags and numbers around them. */
function encodedBytes(message: Message): number {
  const texts = [message.messageId, message.sessionId, message.fromParty, message.messageType];
  return (
    message.payload.length + texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) + 64
  );
}
