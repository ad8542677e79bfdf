import type {
  IdempotencyClaim,
  MessageStore,
  PendingQuery,
} from "../../domain/messages/message-ports.ts";
import { isDeliveredSinceRefusal, isSettled } from "../../domain/messages/delivery-rules.ts";
import type { CreationClock } from "../../domain/messages/creation-clock.ts";
import {
  noRecords,
  type DeliveryRecords,
  type Mailbox,
  type Message,
  type MessageFacts,
  type MessageTrace,
} from "../../domain/messages/message.ts";
import type { Nats } from "../connection.ts";
import { foldRecords, type ClaimBody } from "./delivery-codec.ts";
import { recordDelivered, writeOnce } from "./delivery-log.ts";
import type { FactsCache } from "./facts-cache.ts";
import type { FanOut } from "./fan-out.ts";
import { decodeRecord } from "../json.ts";
import { recordsOf } from "./mailbox-records.ts";
import { decodeStored } from "./message-codec.ts";
import { batch, leaderMessage, leaderMessages, subjectsIn } from "../reading.ts";
import { streams, subjects } from "../subjects.ts";

export interface MessageStoreOptions {
  readonly nats: Nats;
  readonly fanOut: FanOut;
  readonly facts: FactsCache;
  readonly creationClock: CreationClock;
}

export function createMessageStore(options: MessageStoreOptions): MessageStore {
  const { nats, fanOut } = options;
  return {
    append: (message) => fanOut.append(message),
    complete: (message) => fanOut.complete(message),
    claim: (claim) => claimId(nats, claim),
    trace: (sessionId, messageId) => trace(nats, sessionId, messageId),
    pending: (box, query) => pending(options, box, query),
    onArrival(box, listener) {
      const subscription = nats.nc.subscribe(subjects.mailbox(box), { callback: () => listener() });
      return () => subscription.unsubscribe();
    },
  };
}

async function claimId(nats: Nats, claim: IdempotencyClaim): Promise<"claimed" | IdempotencyClaim> {
  const subject = subjects.idempotency(claim.sessionId, claim.messageId);
  const { contentHash, facts } = claim;
  if (await writeOnce(nats, subject, { contentHash, facts })) return "claimed";
  const held = await leaderMessage(nats, streams.deliveries, subject);
  // It has just been forgotten with its session; the copies of this call are then the first.
  if (held === undefined) return "claimed";
  return { ...claim, ...decodeRecord<ClaimBody>(held.data) };
}

async function trace(
  nats: Nats,
  sessionId: string,
  messageId: string,
): Promise<MessageTrace | undefined> {
  const records = await leaderMessages(
    nats,
    streams.deliveries,
    subjects.deliveriesOf(sessionId, messageId),
  );
  const folded = foldRecords(records);
  if (folded !== undefined) return { facts: folded.facts, records: folded.byParty };
  const [copy] = await subjectsIn(nats, streams.messages, subjects.copiesOf(sessionId, messageId));
  if (copy === undefined) return undefined;
  const stored = await leaderMessage(nats, streams.messages, copy);
  return stored && { facts: decodeStored(stored).facts, records: new Map() };
}

/** Copies are read this many bytes at a time while looking for unsettled ones. */
const pageBytes = 4_194_304;
const pageMessages = 100;

async function pending(
  options: MessageStoreOptions,
  box: Mailbox,
  query: PendingQuery,
): Promise<readonly Message[]> {
  const polled: PolledCopy[] = [];
  for await (const copy of unsettledCopies(options.nats, box, query.createdAfter)) {
    if (polled.length === query.maxMessages) break;
    const bytes = [...polled, copy].reduce((sum, { message }) => sum + encodedBytes(message), 0);
    if (polled.length > 0 && bytes > query.maxBytes) break;
    polled.push(copy);
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
  nats: Nats,
  box: Mailbox,
  createdAfter: number,
): AsyncGenerator<PolledCopy> {
  let fromSequence = 1;
  for (;;) {
    const page = await batch(nats, streams.messages, {
      filter: subjects.mailbox(box),
      fromSequence,
      maxMessages: pageMessages,
      maxBytes: pageBytes,
    });
    const copies = page
      .map((stored) => ({ ...decodeStored(stored), copySequence: stored.seq }))
      .filter(({ message }) => message.createdAt > createdAfter);
    const ids = copies.map(({ message }) => message.messageId);
    const records = await recordsOf(nats, box, ids);
    for (const copy of copies) {
      const known = records.get(copy.message.messageId) ?? noRecords;
      if (!isSettled(known)) yield { ...copy, known };
    }
    const last = page.at(-1);
    if (last === undefined || last.pending === 0) return;
    fromSequence = last.seq + 1;
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
