import type { StoredMsg } from "@nats-io/jetstream";
import { isSettled } from "../../domain/messages/delivery-rules.ts";
import {
  noRecords,
  type DeliveryRecords,
  type Mailbox,
  type Message,
  type MessageFacts,
} from "../../domain/messages/message.ts";
import { noteDelivered } from "./delivery-log.ts";
import type { MailboxConsumer } from "./mailbox-consumer.ts";
import { mailboxPages } from "./mailbox-pages.ts";
import { recordsOf, recordsPerRead } from "./mailbox-records.ts";
import type { MailboxesOptions } from "./mailboxes-options.ts";
import { decodePulled, decodeStored } from "./message-codec.ts";
import type { Pulled } from "./pulled.ts";
import { parseMessageSubject } from "../subjects.ts";
import type { Window } from "./window.ts";

/** A message older than this, in milliseconds, may have been settled through a poll: its records are looked at first. */
const freshMs = 1_000;
/** What is read at once after the end of a session takes no more than this, in bytes. */
const maxRestBytes = 8_388_608;

/** Decides of each message that a consumer brings whether it is to be given out. */
export interface MailboxGate {
  /** Whether the records of a message have to be read before it can be judged. */
  needsCheck(pulled: Pulled): boolean;
  /** Reads the records of the next messages that need it. */
  checkNext(): Promise<void>;
  /** Reads the records of messages that were given out and whose end may have been missed. */
  checkGiven(): Promise<void>;
  /** The message, to be given out now; `undefined`: it is settled or not due yet, and the consumer was told so. */
  judge(pulled: Pulled): Message | undefined;
  /** What was never judged, once, straight from the store. */
  rest(): AsyncGenerator<Message>;
}

export interface MailboxGateOptions extends MailboxesOptions {
  readonly box: Mailbox;
  readonly consumer: MailboxConsumer;
  readonly window: Window;
}

interface Checked {
  readonly records: DeliveryRecords;
  readonly atMs: number;
}

interface Copy {
  readonly message: Message;
  readonly facts: MessageFacts;
  /** Place in the message stream. */
  readonly sequence: number;
}

export function createMailboxGate(options: MailboxGateOptions): MailboxGate {
  const { nats, box, consumer, window } = options;
  const checked = new WeakMap<Pulled, Checked>();

  const needsCheck = (pulled: Pulled): boolean => {
    const nowMs = nats.clock.nowMs();
    const known = checked.get(pulled);
    if (known !== undefined) return nowMs - known.atMs > freshMs;
    const isOld = nowMs - pulled.storedAt > freshMs;
    return isOld || pulled.deliveryCount > 1 || consumer.isBacklog(pulled);
  };
  return {
    needsCheck,
    async checkNext() {
      const doubtful = consumer.waiting().slice(0, recordsPerRead).filter(needsCheck);
      const ids = doubtful.map(({ subject }) => parseMessageSubject(subject).messageId);
      const records = await recordsOf(nats, box, ids);
      const atMs = nats.clock.nowMs();
      for (const [index, pulled] of doubtful.entries()) {
        checked.set(pulled, { records: records.get(ids[index] ?? "") ?? noRecords, atMs });
      }
    },
    async checkGiven() {
      const ids = window.takeDoubtful(performance.now(), recordsPerRead);
      const records = await recordsOf(nats, box, ids);
      for (const [messageId, known] of records) if (isSettled(known)) window.settle(messageId);
    },
    judge(pulled) {
      // Waits are measured by a clock that nobody sets.
      const nowMs = performance.now();
      const { message, facts } = decodePulled(pulled);
      const records = checked.get(pulled)?.records ?? noRecords;
      checked.delete(pulled);
      if (window.isSettled(message.messageId) || isSettled(records)) {
        window.skip(pulled);
        window.settle(message.messageId);
        pulled.ack();
        options.settler.add(box, message.messageId);
        return undefined;
      }
      const holdMs = window.holdMs(message.messageId, nowMs);
      if (holdMs > 0) {
        window.hold(message.messageId, pulled);
        pulled.nak(holdMs);
        return undefined;
      }
      window.give(message.messageId, pulled, nowMs);
      noteGiven(options, { message, facts, sequence: pulled.sequence }, records);
      return message;
    },
    async *rest() {
      const pages = mailboxPages(nats, box, {
        from: window.highestSequence + 1,
        maxMessages: recordsPerRead,
        maxBytes: Math.max(1, maxRestBytes - options.bufferBytes),
      });
      for await (const page of pages) yield* unsettled(options, page);
    },
  };
}

async function* unsettled(
  options: MailboxGateOptions,
  page: readonly StoredMsg[],
): AsyncGenerator<Message> {
  const copies = page.map((stored) => ({ ...decodeStored(stored), sequence: stored.seq }));
  const ids = copies.map(({ message }) => message.messageId);
  const known = await recordsOf(options.nats, options.box, ids);
  for (const copy of copies) {
    const records = known.get(copy.message.messageId) ?? noRecords;
    if (isSettled(records)) continue;
    noteGiven(options, copy, records);
    yield copy.message;
  }
}

function noteGiven(
  { nats, box, facts: cache, creationClock }: MailboxGateOptions,
  { message, facts, sequence }: Copy,
  records: DeliveryRecords,
): void {
  const nowMs = nats.clock.nowMs();
  cache.set(box, message.messageId, facts);
  creationClock.saw(box.sessionId, message.createdAt);
  noteDelivered(nats, {
    box,
    messageId: message.messageId,
    body: {
      facts,
      firstAt: records.delivered?.firstAt ?? nowMs,
      lastAt: nowMs,
      count: (records.delivered?.count ?? 0) + 1,
      copySequence: sequence,
    },
  });
}
