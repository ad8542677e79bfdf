import { isSettled } from "../../domain/messages/delivery-rules.ts";
import type { DeliveryRecords, Mailbox, MessageFacts } from "../../domain/messages/message.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { Nats } from "../connection.ts";
import { foldRecords } from "./delivery-codec.ts";
import { deleteMessage } from "../deleting.ts";
import { lastMessages, leaderMessage } from "../reading.ts";
import { createDueQueue, messageKey, type DueByMessage } from "./due-queue.ts";
import { parseDeliverySubject, streams, subjects } from "../subjects.ts";

/** Deletes copies that are settled, in the background. */
export interface Settler extends AsyncDisposable {
  /** To be called once an end is recorded for the message in this mailbox. */
  add(box: Mailbox, messageId: string): void;
}

/** A copy that is about to go. */
export interface SettledCopy {
  readonly box: Mailbox;
  readonly messageId: string;
  readonly facts: MessageFacts;
  readonly records: DeliveryRecords;
}

export interface SettlerOptions {
  readonly nats: Nats;
  readonly logger: Logger;
  /** What must be done before a copy goes; a copy whose preparation fails stays, and is tried again. */
  readonly prepare: (copy: SettledCopy) => Promise<void>;
}

const tickMs = 250;
/**
 * Each looks up and deletes a few dozen copies at a time. Where everything waits for the processor, what has more under way
 * gets more done: so the more copies wait, the more workers there are, and an overload leaves behind no more than that.
 */
const copiesPerWorker = 512;
const maxWorkers = 16;

export function createSettler(options: SettlerOptions): Settler {
  const { nats, logger } = options;
  const queue = createDueQueue();
  const workers = new Set<Promise<void>>();
  let connectedAt = nats.clock.nowMs();
  const offReconnect = nats.onReconnect(() => (connectedAt = nats.clock.nowMs()));

  const work = async (): Promise<void> => {
    for (;;) {
      const due = queue.take();
      if (due.size === 0) return;
      const all = [...due.values()].flat();
      const copies = await settledAmong(nats, due).catch((error: unknown) => {
        logger.debug({ err: error }, "settled copies could not be looked up yet");
        for (const { box, messageId } of all) queue.add(box, messageId);
        return undefined;
      });
      if (copies === undefined) return;
      await Promise.all(copies.map(remove));
    }
  };
  const remove = async (copy: SettledCopy): Promise<void> => {
    const { box, messageId } = copy;
    try {
      await options.prepare(copy);
      const sequence = await placeOf(nats, copy, connectedAt);
      if (sequence !== undefined) await deleteCopy(nats, sequence);
    } catch (error) {
      logger.debug({ messageId, err: error }, "a settled copy could not be deleted yet");
      queue.add(box, messageId);
    }
  };

  const timer = setInterval(() => {
    if (!nats.isConnected()) return;
    const wanted = Math.min(maxWorkers, Math.ceil(queue.size() / copiesPerWorker));
    while (workers.size < wanted) {
      const worker: Promise<void> = work().finally(() => workers.delete(worker));
      workers.add(worker);
    }
  }, tickMs);
  return {
    add: (box, messageId) => queue.add(box, messageId),
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      offReconnect();
      queue.clear();
      await Promise.all(workers);
    },
  };
}

/** Those of the copies that a record settles, which is read again for the purpose. */
async function settledAmong(nats: Nats, due: DueByMessage): Promise<readonly SettledCopy[]> {
  const filters = [...due.values()].flatMap(([first]) =>
    first === undefined ? [] : [subjects.deliveriesOf(first.box.sessionId, first.messageId)],
  );
  const stored = await lastMessages(nats, streams.deliveries, filters);
  const byMessage = Map.groupBy(stored, ({ subject }) => {
    const { messageId, ...box } = parseDeliverySubject(subject);
    return messageKey(box, messageId);
  });
  return [...due].flatMap(([key, copies]) => {
    const all = foldRecords(byMessage.get(key) ?? []);
    if (all === undefined) return [];
    return copies.flatMap(({ box, messageId }) => {
      const records = all.byParty.get(box.partyId);
      if (records === undefined || !isSettled(records)) return [];
      return [{ box, messageId, facts: all.facts, records }];
    });
  });
}

/** Where the copy lies; `undefined`: it is gone. */
async function placeOf(
  nats: Nats,
  { box, messageId, records: { delivered } }: SettledCopy,
  connectedAt: number,
): Promise<number | undefined> {
  // A broker that crashed may have lost what it had not synced, and gives the places to other messages.
  if (delivered !== undefined && delivered.lastAt > connectedAt) return delivered.copySequence;
  const copy = await leaderMessage(nats, streams.messages, subjects.message(box, messageId));
  return copy?.seq;
}

function deleteCopy(nats: Nats, sequence: number): Promise<void> {
  const what = "deleting a settled message";
  return deleteMessage(nats, { what, stream: streams.messages, sequence, erases: false });
}
