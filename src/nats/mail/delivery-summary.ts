import { deflateRawSync, inflateRawSync } from "node:zlib";
import type { StoredMsg } from "@nats-io/jetstream";
import type { DeliveryRecords } from "../../domain/messages/message.ts";
import type { Nats } from "../connection.ts";
import { freshMessages } from "../sure-reading.ts";
import { parseDeliverySubject, streams, subjects } from "../subjects.ts";
import { foldRecords, type FoldedRecords } from "./delivery-codec.ts";

/** What is recorded of messages of one session, by message id. */
export type SessionRecords = ReadonlyMap<string, FoldedRecords>;

/** A summary is a list of these, as JSON, packed: names of fields would be most of it. */
type Entry = readonly [
  messageId: string,
  fromParty: string,
  toPositions: readonly number[],
  createdAt: number,
  keepUntil: number,
  rows: readonly Row[],
];

/** What never happened has the time 0. */
type Row = readonly [
  partyId: string,
  acknowledgedAt: number,
  failedAt: number,
  error: string,
  refusalCount: number,
  refusalSequence: number,
  delivered?: readonly [
    firstAt: number,
    lastAt: number,
    count: number,
    copySequence: number,
    sequence: number,
  ],
];

/**
 * Reads what is recorded where the filters say, sure to see everything acknowledged before the call, on a cluster too. Of
 * a session that has ended it may have been folded into the summary, which is read with it, and of all its messages.
 */
export async function readDeliveries(
  nats: Nats,
  sessionId: string,
  filters: readonly string[],
): Promise<SessionRecords> {
  const summary = subjects.deliverySummary(sessionId);
  // What is folded goes after the summary has come, so a replica that still has it says the same.
  return foldSession(await freshMessages(nats, streams.deliveries, [...filters, summary]));
}

/** Puts records and summary of one session together. */
export function foldSession(stored: readonly StoredMsg[]): SessionRecords {
  const messages = new Map<string, FoldedRecords>();
  const records = stored.filter((entry) => !isSummary(entry));
  for (const { data } of stored.filter(isSummary)) {
    for (const [messageId, folded] of entriesOf(summaryText(data))) messages.set(messageId, folded);
  }
  const byMessage = Map.groupBy(records, ({ subject }) => parseDeliverySubject(subject).messageId);
  for (const [messageId, found] of byMessage) {
    const folded = foldRecords(found, messages.get(messageId));
    if (folded !== undefined) messages.set(messageId, folded);
  }
  return messages;
}

export function isSummary({ subject }: StoredMsg): boolean {
  return parseDeliverySubject(subject).state === "sum";
}

/** As text, which is the same for the same records; it becomes about a quarter when it is packed. */
export function textOf(messages: SessionRecords): string {
  const entries = [...messages].map(([messageId, { facts, byParty }]): Entry => {
    const { fromParty, toPositions, createdAt, keepUntil } = facts;
    return [messageId, fromParty, toPositions, createdAt, keepUntil, [...byParty].map(rowOf)];
  });
  return JSON.stringify(entries);
}

export function packSummary(text: string): Uint8Array {
  return deflateRawSync(text);
}

export function summaryText(data: Uint8Array): string {
  return inflateRawSync(data).toString("utf8");
}

function* entriesOf(text: string): Generator<readonly [string, FoldedRecords]> {
  for (const entry of JSON.parse(text) as readonly Entry[]) {
    const [messageId, fromParty, toPositions, createdAt, keepUntil, rows] = entry;
    const facts = { fromParty, toPositions, createdAt, keepUntil };
    yield [messageId, { facts, byParty: new Map(rows.map(recordsOf)) }];
  }
}

function rowOf([partyId, records]: readonly [string, DeliveryRecords]): Row {
  const { acknowledgedAt = 0, failed = { at: 0, error: "" }, delivered } = records;
  const { refusalCount, refusalSequence } = records;
  const ends = [partyId, acknowledgedAt, failed.at, failed.error] as const;
  if (delivered === undefined) return [...ends, refusalCount, refusalSequence];
  const { firstAt, lastAt, count, copySequence, sequence } = delivered;
  const times = [firstAt, lastAt, count, copySequence, sequence] as const;
  return [...ends, refusalCount, refusalSequence, times];
}

function recordsOf(row: Row): readonly [string, DeliveryRecords] {
  const [partyId, acknowledgedAt, failedAt, error, refusalCount, refusalSequence, times] = row;
  const records: DeliveryRecords = {
    refusalCount,
    refusalSequence,
    ...(acknowledgedAt === 0 ? {} : { acknowledgedAt }),
    ...(failedAt === 0 ? {} : { failed: { at: failedAt, error } }),
  };
  if (times === undefined) return [partyId, records];
  const [firstAt, lastAt, count, copySequence, sequence] = times;
  const delivered = { firstAt, lastAt, count, copySequence, sequence };
  return [partyId, { ...records, delivered }];
}
