import { RouterError } from "../domain/errors.ts";
import { isSettled } from "../domain/messages/delivery-rules.ts";
import type { OpenMailbox } from "../domain/messages/message-ports.ts";
import {
  noRecords,
  type DeliveryRecords,
  type Mailbox,
  type Message,
  type MessageFacts,
} from "../domain/messages/message.ts";
import { noteDelivered } from "./delivery-log.ts";
import type { MailboxNote } from "./mailbox-notes.ts";
import { recordsOf, recordsPerRead } from "./mailbox-records.ts";
import type { MailboxConsumer } from "./mailbox-consumer.ts";
import type { MailboxesOptions } from "./mailboxes.ts";
import { decodePulled, decodeStored } from "./message-codec.ts";
import type { Pulled } from "./pulled.ts";
import { allMessages } from "./reading.ts";
import { parseMessageSubject, streams, subjects } from "./subjects.ts";
import { createWindow } from "./window.ts";

/** A stream may have this much given out and not settled, in bytes; the count is the consumer's `max_ack_pending`. */
const maxUnsettledBytes = 67_108_864;
/** A message older than this, in milliseconds, may have been settled through a poll: its records are looked at first. */
const freshMs = 1_000;

export interface MailboxStream extends AsyncDisposable {
  epoch(): number;
  /** To be iterated once. */
  messages(): AsyncGenerator<Message>;
  onNote(note: MailboxNote): void;
  /** A stream of that epoch has taken the mailbox. */
  onOwner(epoch: number): void;
  /** The connection was cut, or this process stood still: what is believed of consumer and owner must be checked. */
  doubt(): void;
  /** Looks whether the consumer has fallen silent. */
  checkPulse(): void;
}

export interface MailboxStreamOptions extends MailboxesOptions {
  readonly box: Mailbox;
  readonly open: OpenMailbox;
  readonly consumer: MailboxConsumer;
}

interface Copy {
  readonly message: Message;
  readonly facts: MessageFacts;
  /** Place in the message stream. */
  readonly sequence: number;
}

interface Checked {
  readonly records: DeliveryRecords;
  readonly atMs: number;
}

export function createMailboxStream(options: MailboxStreamOptions): MailboxStream {
  const { nats, box, open, consumer, ackWaitMs } = options;
  const window = createWindow(ackWaitMs);
  const checked = new Map<Pulled, Checked>();
  let isSuperseded = false;
  let isDoubted = false;
  let wake = (): void => undefined;
  let isAwake = false;
  const notify = (): void => {
    isAwake = true;
    wake();
  };
  consumer.onChange(notify);
  open.signal.addEventListener("abort", notify);
  open.ended.addEventListener("abort", notify);
  const changed = async (): Promise<void> => {
    if (!isAwake) await new Promise<void>((resolve) => (wake = resolve));
    isAwake = false;
  };

  const needsCheck = (pulled: Pulled): boolean => {
    const nowMs = nats.clock.nowMs();
    const known = checked.get(pulled);
    if (known !== undefined) return nowMs - known.atMs > freshMs;
    return (
      pulled.deliveryCount > 1 || consumer.isBacklog(pulled) || nowMs - pulled.storedAt > freshMs
    );
  };

  /** Reads the records of the next messages that may have been settled elsewhere. */
  const checkNext = async (): Promise<void> => {
    const doubtful = consumer.waiting().slice(0, recordsPerRead).filter(needsCheck);
    const ids = doubtful.map(({ subject }) => parseMessageSubject(subject).messageId);
    const records = await recordsOf(nats, box, ids);
    const atMs = nats.clock.nowMs();
    for (const [index, pulled] of doubtful.entries()) {
      checked.set(pulled, { records: records.get(ids[index] ?? "") ?? noRecords, atMs });
    }
  };

  const noteGiven = (copy: Copy, records: DeliveryRecords): void => {
    const { message, facts, sequence } = copy;
    const nowMs = nats.clock.nowMs();
    options.facts.set(box, message.messageId, facts);
    options.creationClock.saw(box.sessionId, message.createdAt);
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
  };

  /** The next message to give out, if it is due; else it is answered to the consumer. */
  const judge = (pulled: Pulled): Message | undefined => {
    const nowMs = nats.clock.nowMs();
    const { message, facts } = decodePulled(pulled);
    const { messageId } = message;
    const records = checked.get(pulled)?.records ?? noRecords;
    checked.delete(pulled);
    if (window.isSettled(messageId) || isSettled(records)) {
      window.skip(pulled);
      window.settle(messageId);
      pulled.ack();
      options.settler.add(box, messageId);
      return undefined;
    }
    const holdMs = window.holdMs(messageId, nowMs);
    if (holdMs > 0) {
      pulled.nak(holdMs);
      return undefined;
    }
    window.give(messageId, pulled, nowMs);
    noteGiven({ message, facts, sequence: pulled.sequence }, records);
    return message;
  };

  /** The session has ended: what was not given out yet is given once, straight from the store. */
  async function* rest(): AsyncGenerator<Message> {
    consumer.pause();
    const from = window.highestSequence + 1;
    let page: Copy[] = [];
    for await (const stored of allMessages(nats, streams.messages, subjects.mailbox(box), from)) {
      page.push({ ...decodeStored(stored), sequence: stored.seq });
      if (page.length < recordsPerRead) continue;
      yield* unsettled(page);
      page = [];
    }
    yield* unsettled(page);
  }

  async function* unsettled(page: readonly Copy[]): AsyncGenerator<Message> {
    const ids = page.map(({ message }) => message.messageId);
    const known = await recordsOf(nats, box, ids);
    for (const copy of page) {
      const records = known.get(copy.message.messageId) ?? noRecords;
      if (isSettled(records)) continue;
      noteGiven(copy, records);
      yield copy.message;
    }
  }

  async function* messages(): AsyncGenerator<Message> {
    try {
      while (!open.signal.aborted) {
        if (isSuperseded) throw superseded();
        if (open.ended.aborted) {
          yield* rest();
          return;
        }
        if (isDoubted || consumer.isLost()) {
          isDoubted = false;
          if (!(await consumer.recover(open.signal))) throw superseded();
          continue;
        }
        consumer.refill(window.bytes < maxUnsettledBytes);
        const [next] = consumer.waiting();
        if (next === undefined) await changed();
        else if (needsCheck(next)) await checkNext();
        else {
          consumer.take();
          const message = judge(next);
          if (message !== undefined) yield message;
        }
      }
    } finally {
      // Not awaited: the reader need not wait for the broker to forget the consumer.
      void dispose();
    }
  }

  const dispose = async (): Promise<void> => {
    open.signal.removeEventListener("abort", notify);
    open.ended.removeEventListener("abort", notify);
    await consumer[Symbol.asyncDispose]();
  };
  return {
    epoch: () => consumer.epoch(),
    messages,
    onNote(note) {
      if (note.kind === "settled") window.settle(note.messageId);
      else if (note.kind === "owner") this.onOwner(note.epoch);
      else window.refuse(note.messageId, note.redeliverAfterMs, nats.clock.nowMs());
      notify();
    },
    onOwner(epoch) {
      if (epoch <= consumer.epoch()) return;
      isSuperseded = true;
      notify();
    },
    doubt() {
      isDoubted = true;
      notify();
    },
    checkPulse() {
      if (consumer.isLost()) notify();
    },
    [Symbol.asyncDispose]: dispose,
  };
}

function superseded(): RouterError {
  return new RouterError("SUPERSEDED", "a newer stream of the same party and session took over");
}
