import type { StoredMsg } from "@nats-io/jetstream";
import type { DeliveryRecords, Mailbox } from "../../domain/messages/message.ts";
import type { Nats } from "../connection.ts";
import { foldRecords } from "./delivery-codec.ts";
import { lastMessages, leaderMessages, subjectsIn } from "../reading.ts";
import { parseDeliverySubject, parseMessageSubject, streams, subjects } from "../subjects.ts";

/** Messages whose records are read in one request: each has at most a delivery, two ends and some refusals. */
export const recordsPerRead = 64;

/**
 * What is recorded of these messages in a mailbox, also a moment ago on another node; a message without records has no
 * entry.
 */
export async function recordsOf(
  nats: Nats,
  box: Mailbox,
  messageIds: readonly string[],
): Promise<ReadonlyMap<string, DeliveryRecords>> {
  const found = new Map<string, DeliveryRecords>();
  for (let start = 0; start < messageIds.length; start += recordsPerRead) {
    const ids = messageIds.slice(start, start + recordsPerRead);
    const filters = ids.map((messageId) => subjects.deliveriesAt(box, messageId));
    const stored = await recordsAt(nats, filters);
    const byMessage = Map.groupBy(stored, ({ subject }) => parseDeliverySubject(subject).messageId);
    for (const [messageId, records] of byMessage) {
      const folded = foldRecords(records)?.byParty.get(box.partyId);
      if (folded !== undefined) found.set(messageId, folded);
    }
  }
  return found;
}

/** A replica may lag behind what its leader has acknowledged, so a cluster is asked message by message. */
async function recordsAt(nats: Nats, filters: readonly string[]): Promise<readonly StoredMsg[]> {
  if (!nats.isClustered) return lastMessages(nats, streams.deliveries, filters);
  const found = filters.map((filter) => leaderMessages(nats, streams.deliveries, filter));
  return (await Promise.all(found)).flat();
}

/** Ids of the messages in a mailbox that nothing settles yet: what is stored less what an end is recorded for. */
export async function unsettledIds(
  nats: Nats,
  box: Mailbox,
  stored?: readonly string[],
): Promise<ReadonlySet<string>> {
  const ids = new Set(
    stored ??
      (await subjectsIn(nats, streams.messages, subjects.mailbox(box))).map(
        (subject) => parseMessageSubject(subject).messageId,
      ),
  );
  if (ids.size === 0) return ids;
  for (const state of ["ack", "fail"] as const) {
    const filter = subjects.deliveriesInMailbox(box, state);
    for (const subject of await subjectsIn(nats, streams.deliveries, filter)) {
      ids.delete(parseDeliverySubject(subject).messageId);
    }
  }
  return ids;
}
