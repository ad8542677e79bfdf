import { headers, type MsgHdrs } from "@nats-io/transport-node";
import type {
  DeliveryKey,
  DeliveryLog,
  KnownDelivery,
} from "../../domain/messages/message-ports.ts";
import { noRecords, type Mailbox, type MessageFacts } from "../../domain/messages/message.ts";
import type { AttemptLimits } from "../attempt.ts";
import { ttlOf } from "../bucket.ts";
import type { Nats } from "../connection.ts";
import type { ClaimBody, DeliveredBody, SettledBody } from "./delivery-codec.ts";
import { readDeliveries } from "./delivery-summary.ts";
import type { FactsCache } from "./facts-cache.ts";
import { encodeRecord } from "../json.ts";
import type { MailboxNotes } from "./mailbox-notes.ts";
import { decodeStored } from "./message-codec.ts";
import { publishExpected } from "../publishing.ts";
import { leaderMessage } from "../reading.ts";
import type { SessionEnds } from "../session-ends.ts";
import type { Settler } from "./settler.ts";
import { streams, subjects, type DeliveryState } from "../subjects.ts";

export interface DeliveryLogOptions {
  readonly nats: Nats;
  readonly facts: FactsCache;
  readonly notes: MailboxNotes;
  readonly settler: Settler;
  readonly ends: Pick<SessionEnds, "mayHaveEnded">;
}

export function createDeliveryLog({
  nats,
  facts,
  notes,
  settler,
  ends,
}: DeliveryLogOptions): DeliveryLog {
  const read = async (box: Mailbox, messageId: string): Promise<KnownDelivery | undefined> => {
    const filter = subjects.deliveriesAt(box, messageId);
    const folded = (await readDeliveries(nats, box.sessionId, [filter])).get(messageId);
    // A summary has the records of the others, too.
    const records = folded?.byParty.get(box.partyId);
    if (folded !== undefined && records !== undefined) return { facts: folded.facts, records };
    const copy = await leaderMessage(nats, streams.messages, subjects.message(box, messageId));
    return copy && { facts: decodeStored(copy).facts, records: noRecords };
  };
  const settle = async (
    { box, messageId, facts: known }: DeliveryKey,
    state: DeliveryState,
    body: Omit<SettledBody, "facts">,
  ): Promise<boolean> => {
    const subject = subjects.delivery(box, messageId, state);
    const isNew = await writeOnce(nats, { subject, body: { ...body, facts: known } });
    notes.send(box, { kind: "settled", messageId });
    settler.add(box, messageId);
    return isNew;
  };
  return {
    async glance(box, messageId) {
      const known = facts.get(box, messageId);
      return known === undefined ? read(box, messageId) : { facts: known, records: noRecords };
    },
    read,
    async acknowledge(delivery, atMs) {
      const { box, messageId } = delivery;
      // The record that was there may have been folded, and is then not there to refuse the write.
      if (ends.mayHaveEnded(box.sessionId)) {
        if ((await read(box, messageId))?.records.acknowledgedAt !== undefined) return false;
      }
      return settle(delivery, "ack", { at: atMs });
    },
    fail: (delivery, { atMs, error }) => settle(delivery, "fail", { at: atMs, error }),
    async refuse({ box, messageId, facts: known }, { number, atMs, error, redeliverAfterMs }) {
      const body: SettledBody = { at: atMs, error, facts: known };
      const subject = subjects.delivery(box, messageId, `nak${number}`);
      const isNew = await writeOnce(nats, { subject, body });
      if (isNew) notes.send(box, { kind: "refused", messageId, redeliverAfterMs });
      return isNew;
    },
  };
}

interface RecordOnce extends Pick<AttemptLimits, "endsWhenFull"> {
  readonly subject: string;
  readonly body: SettledBody | ClaimBody;
}

/** Writes a record that is written once; false when it was there. */
export async function writeOnce(
  nats: Nats,
  { subject, body, ...limits }: RecordOnce,
): Promise<boolean> {
  const sequence = await publishExpected(nats, {
    what: "recording a delivery",
    stream: streams.deliveries,
    subject,
    data: encodeRecord(body),
    lastSequence: 0,
    ttl: recordTtl(nats, body.facts),
    ...limits,
  });
  return sequence !== undefined;
}

/** Notes that a message is being given out; not awaited, since a lost note only undercounts. */
export function noteDelivered(nats: Nats, delivery: Delivered): void {
  if (nats.nc.isClosed()) return;
  nats.nc.publish(deliveredSubject(delivery), encodeRecord(delivery.body), {
    headers: ttlHeaders(nats, delivery.body.facts),
  });
}

/** The same, and resolves once the record can be read. */
export async function recordDelivered(nats: Nats, delivery: Delivered): Promise<void> {
  await nats.attempt("recording a delivery", () =>
    nats.js.publish(deliveredSubject(delivery), encodeRecord(delivery.body), {
      ttl: recordTtl(nats, delivery.body.facts),
    }),
  );
}

export interface Delivered {
  readonly box: Mailbox;
  readonly messageId: string;
  readonly body: DeliveredBody;
}

function deliveredSubject({ box, messageId }: Delivered): string {
  return subjects.delivery(box, messageId, "dlv");
}

function ttlHeaders(nats: Nats, facts: MessageFacts): MsgHdrs {
  const result = headers();
  result.set("Nats-TTL", recordTtl(nats, facts));
  return result;
}

/** Records outlive the copies by an hour, so that a copy is never there without what became of it. */
function recordTtl(nats: Nats, facts: MessageFacts): string {
  return ttlOf(facts.keepUntil - nats.clock.nowMs() + 3_600_000);
}
