import type { DeliveryRecords, Mailbox } from "../../domain/messages/message.ts";
import type { Nats } from "../connection.ts";
import { readDeliveries } from "./delivery-summary.ts";
import { lastMessages, subjectsIn } from "../reading.ts";
import {
  parseDeliverySubject,
  parseMessageSubject,
  streams,
  subjects,
  type DeliveryState,
} from "../subjects.ts";

/** Messages whose records are read in one request: each has at most a delivery, two ends and some refusals. */
export const recordsPerRead = 64;

/** So many messages are asked for by name: a listing has every message that ever ended in the mailbox … */
const namedAtOnce = 64;
/** … and fewer where each takes a request of its own. */
const namedInClusterAtOnce = 8;
const endStates = ["ack", "fail"] as const;

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
    const records = await readDeliveries(nats, box.sessionId, filters);
    for (const messageId of ids) {
      const own = records.get(messageId)?.byParty.get(box.partyId);
      if (own !== undefined) found.set(messageId, own);
    }
  }
  return found;
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
  for (const subject of await endsOf(nats, box, [...ids])) {
    ids.delete(parseDeliverySubject(subject).messageId);
  }
  return ids;
}

/** Subjects of the records that end these messages, and perhaps others of the mailbox, from the leader. */
async function endsOf(
  nats: Nats,
  box: Mailbox,
  ids: readonly string[],
): Promise<readonly string[]> {
  if (ids.length === 0) return [];
  if (ids.length > (nats.isClustered ? namedInClusterAtOnce : namedAtOnce)) {
    const filters = endStates.map((state) => subjects.deliveriesInMailbox(box, state));
    return listed(nats, filters);
  }
  if (nats.isClustered) {
    const found = await listed(
      nats,
      ids.map((id) => subjects.deliveriesAt(box, id)),
    );
    return found.filter((subject) => isEnd(parseDeliverySubject(subject).state));
  }
  const filters = ids.flatMap((id) => endStates.map((state) => subjects.delivery(box, id, state)));
  return (await lastMessages(nats, streams.deliveries, filters)).map(({ subject }) => subject);
}

async function listed(nats: Nats, filters: readonly string[]): Promise<readonly string[]> {
  const found = filters.map((filter) => subjectsIn(nats, streams.deliveries, filter));
  return (await Promise.all(found)).flat();
}

function isEnd(state: DeliveryState): boolean {
  return state === "ack" || state === "fail";
}
