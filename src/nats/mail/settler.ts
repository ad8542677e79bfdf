import type { StoredMsg } from "@nats-io/jetstream";
import { isSettled } from "../../domain/messages/delivery-rules.ts";
import type { DeliveryRecords, Mailbox, MessageFacts } from "../../domain/messages/message.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { Nats } from "../connection.ts";
import { foldRecords } from "./delivery-codec.ts";
import { isMessageGone } from "../errors.ts";
import { lastMessages, leaderMessage } from "../reading.ts";
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
  /** What must be done before a copy goes; a copy whose preparation fails stays. */
  readonly prepare: (copy: SettledCopy) => Promise<void>;
}

/** A record must be this old before its copy goes, in milliseconds: the newest records of an async stream can be lost. */
const minRecordAgeMs = 1_000;
const tickMs = 250;
const messagesPerRead = 32;
const maxDeletesInFlight = 64;
/** Beyond this the sweep finds what is left. */
const maxQueued = 200_000;

interface Due {
  readonly sessionId: string;
  readonly messageId: string;
  readonly partyIds: Set<string>;
  readonly dueAt: number;
}

export function createSettler(options: SettlerOptions): Settler {
  const { nats, logger } = options;
  const queue = new Map<string, Due>();
  let running: Promise<void> | undefined;

  /** Takes what is due, oldest first; the map keeps the order of insertion. */
  const takeDue = (): readonly Due[] => {
    const taken: Due[] = [];
    for (const [key, due] of queue) {
      if (due.dueAt > performance.now() || taken.length === messagesPerRead) break;
      queue.delete(key);
      taken.push(due);
    }
    return taken;
  };

  const run = async (): Promise<void> => {
    for (;;) {
      const due = takeDue();
      if (due.length === 0) return;
      try {
        await settleAll(options, due);
      } catch (error) {
        logger.debug({ err: error }, "settled copies could not be deleted yet");
        due.forEach(putBack);
        return;
      }
    }
  };

  const add = (box: Mailbox, messageId: string): void => {
    const key = `${box.sessionId}.${messageId}`;
    const known = queue.get(key);
    if (known !== undefined) {
      known.partyIds.add(box.partyId);
      return;
    }
    if (queue.size >= maxQueued) return;
    const dueAt = performance.now() + minRecordAgeMs;
    queue.set(key, {
      sessionId: box.sessionId,
      messageId,
      partyIds: new Set([box.partyId]),
      dueAt,
    });
  };

  const putBack = ({ sessionId, messageId, partyIds }: Due): void => {
    for (const partyId of partyIds) add({ sessionId, partyId }, messageId);
  };

  const timer = setInterval(() => {
    if (running !== undefined || queue.size === 0 || !nats.isConnected()) return;
    running = run().finally(() => (running = undefined));
  }, tickMs);
  return {
    add,
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      queue.clear();
      await running;
    },
  };
}

async function settleAll(options: SettlerOptions, due: readonly Due[]): Promise<void> {
  const stored = await lastMessages(
    options.nats,
    streams.deliveries,
    due.map(({ sessionId, messageId }) => subjects.deliveriesOf(sessionId, messageId)),
  );
  const byMessage = Map.groupBy(stored, messageKey);
  const copies: SettledCopy[] = [];
  for (const { sessionId, messageId, partyIds } of due) {
    const all = foldRecords(byMessage.get(`${sessionId}.${messageId}`) ?? []);
    if (all === undefined) continue;
    for (const partyId of partyIds) {
      const records = all.byParty.get(partyId);
      if (records === undefined || !isSettled(records)) continue;
      const copy = { box: { partyId, sessionId }, messageId, facts: all.facts, records };
      await options.prepare(copy);
      copies.push(copy);
    }
  }
  for (let start = 0; start < copies.length; start += maxDeletesInFlight) {
    const part = copies.slice(start, start + maxDeletesInFlight);
    await Promise.all(part.map((copy) => deleteCopy(options.nats, copy)));
  }
}

function messageKey({ subject }: StoredMsg): string {
  const { sessionId, messageId } = parseDeliverySubject(subject);
  return `${sessionId}.${messageId}`;
}

async function deleteCopy(nats: Nats, { box, messageId, records }: SettledCopy): Promise<void> {
  const sequence = records.delivered?.copySequence ?? (await findCopy(nats, box, messageId));
  if (sequence === undefined) return;
  await nats.attempt("deleting a settled message", async () => {
    try {
      await nats.jsm.streams.deleteMessage(streams.messages, sequence, false);
    } catch (error) {
      if (!isMessageGone(error)) throw error;
    }
  });
}

/** A copy that was acknowledged without ever having been given out has no record of its place. */
async function findCopy(nats: Nats, box: Mailbox, messageId: string): Promise<number | undefined> {
  const copy = await leaderMessage(nats, streams.messages, subjects.message(box, messageId));
  return copy?.seq;
}
