import type { StoredMsg } from "@nats-io/jetstream";
import {
  noRecords,
  type DeliveredRecord,
  type DeliveryRecords,
  type MessageFacts,
} from "../../domain/messages/message.ts";
import { decodeRecord } from "../json.ts";
import { noRecipient, parseDeliverySubject } from "../subjects.ts";

/** Every record repeats the facts of its message, so that it can answer when the copies are gone. */
interface RecordBase {
  readonly facts: MessageFacts;
}

export interface DeliveredBody extends RecordBase {
  readonly firstAt: number;
  readonly lastAt: number;
  readonly count: number;
  readonly copySequence: number;
}

export interface SettledBody extends RecordBase {
  readonly at: number;
  readonly error?: string;
}

export interface ClaimBody extends RecordBase {
  readonly contentHash: string;
}

export interface FoldedRecords {
  readonly facts: MessageFacts;
  readonly byParty: ReadonlyMap<string, DeliveryRecords>;
}

/** Puts the stored records of one message together, and what was folded before; `undefined` when there are none. */
export function foldRecords(
  stored: readonly StoredMsg[],
  before?: FoldedRecords,
): FoldedRecords | undefined {
  const byParty = new Map<string, DeliveryRecords>(before?.byParty);
  let facts = before?.facts;
  for (const entry of stored) {
    const body = decodeRecord<DeliveredBody & SettledBody>(entry.data);
    facts = body.facts;
    const { partyId, state } = parseDeliverySubject(entry.subject);
    if (partyId === noRecipient) continue;
    const known = byParty.get(partyId) ?? noRecords;
    byParty.set(partyId, foldOne(known, { state, body, sequence: entry.seq }));
  }
  return facts === undefined ? undefined : { facts, byParty };
}

interface ReadRecord {
  readonly state: string;
  readonly body: DeliveredBody & SettledBody;
  readonly sequence: number;
}

/** What was folded before may have been written once more since: the first end counts, and deliveries only add up. */
function foldOne(known: DeliveryRecords, { state, body, sequence }: ReadRecord): DeliveryRecords {
  switch (state) {
    case "dlv": {
      const { firstAt, lastAt, count, copySequence } = body;
      const delivered = { firstAt, lastAt, count, copySequence, sequence };
      return { ...known, delivered: joined(known.delivered ?? delivered, delivered) };
    }
    case "ack":
      return { ...known, acknowledgedAt: Math.min(known.acknowledgedAt ?? body.at, body.at) };
    case "fail":
      if (known.failed !== undefined && known.failed.at <= body.at) return known;
      return { ...known, failed: { at: body.at, error: body.error ?? "" } };
    default:
      return {
        ...known,
        refusalCount: Math.max(known.refusalCount, Number(state.slice("nak".length))),
        refusalSequence: Math.max(known.refusalSequence, sequence),
      };
  }
}

function joined(one: DeliveredRecord, other: DeliveredRecord): DeliveredRecord {
  const { copySequence, sequence } = one.sequence > other.sequence ? one : other;
  return {
    firstAt: Math.min(one.firstAt, other.firstAt),
    lastAt: Math.max(one.lastAt, other.lastAt),
    count: Math.max(one.count, other.count),
    copySequence,
    sequence,
  };
}
