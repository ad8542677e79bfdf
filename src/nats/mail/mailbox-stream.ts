import { createBell } from "../../domain/bell.ts";
import { isRouterError, RouterError } from "../../domain/errors.ts";
import type { OpenMailbox } from "../../domain/messages/message-ports.ts";
import type { Mailbox, Message } from "../../domain/messages/message.ts";
import type { MailboxConsumer } from "./mailbox-consumer.ts";
import { createMailboxGate, type MailboxGate } from "./mailbox-gate.ts";
import type { MailboxNote } from "./mailbox-notes.ts";
import type { MailboxesOptions } from "./mailboxes-options.ts";
import { createWindow, type Window } from "./window.ts";

/** A stream may have this much given out and not settled, in bytes; the count is the consumer's `max_ack_pending`. */
const maxUnsettledBytes = 67_108_864;
/** Messages that are asked for at once while there is room … */
const maxAtOnce = 256;
/** … and while there is only room for redeliveries, which a consumer sends first. */
const maxRedeliveriesAtOnce = 8;
/** A note of a take-over comes within this, in milliseconds, or not at all. */
const noteMs = 500;

export interface MailboxStreamOptions extends MailboxesOptions {
  readonly box: Mailbox;
  readonly open: OpenMailbox;
  readonly consumer: MailboxConsumer;
}

/** One open message stream. It ends itself when its reader has gone, or its messages have been read to their end. */
export class MailboxStream implements Disposable {
  readonly #options: MailboxStreamOptions;
  readonly #window: Window;
  readonly #gate: MailboxGate;
  readonly #bell = createBell();
  readonly #ring = (): void => this.#bell.ring();
  #isSuperseded = false;
  /** When a newer stream was recorded of which no note has come, as `performance.now()` has it. */
  #takenAt = Number.POSITIVE_INFINITY;

  constructor(options: MailboxStreamOptions) {
    this.#options = options;
    this.#window = createWindow(options.ackWaitMs);
    this.#gate = createMailboxGate({ ...options, window: this.#window });
    options.consumer.onChange(this.#ring);
    options.open.signal.addEventListener("abort", this.#ring);
    options.open.ended.addEventListener("abort", this.#ring);
  }

  epoch(): number {
    return this.#options.consumer.epoch();
  }

  /** To be iterated once. */
  async *messages(): AsyncGenerator<Message> {
    const { open, consumer } = this.#options;
    try {
      yield* this.#untilEnded();
      if (open.signal.aborted) return;
      consumer.pause();
      yield* this.#gate.rest();
    } finally {
      this[Symbol.dispose]();
    }
  }

  onNote(note: MailboxNote): void {
    if (note.kind === "settled") this.#window.settle(note.messageId);
    else if (note.kind === "owner") this.onOwner(note.epoch);
    else this.#window.refuse(note, performance.now());
    this.#bell.ring();
  }

  /** A stream of that epoch has taken the mailbox. */
  onOwner(epoch: number): void {
    if (epoch <= this.epoch()) return;
    this.#isSuperseded = true;
    this.#bell.ring();
  }

  /**
   * A stream of that epoch is on record as the newer one. Its note should be on its way; where it is lost, or that stream
   * was given up before it began, the record is looked at a little later.
   */
  onTaken(epoch: number): void {
    if (epoch > this.epoch()) this.#takenAt = Math.min(this.#takenAt, performance.now());
  }

  /** The connection was cut, or this process stood still: what is believed of consumer and owner must be checked. */
  doubt(): void {
    this.#options.consumer.doubt();
  }

  /** Looks whether the consumer has fallen silent, or something is due that only the passing of time tells of. */
  checkPulse(): void {
    const nowMs = performance.now();
    if (performance.now() - this.#takenAt > noteMs) {
      this.#takenAt = Number.POSITIVE_INFINITY;
      this.doubt();
    }
    const isDue = this.#isFull() ? this.#window.dueCount(nowMs) > 0 : false;
    if (isDue || this.#window.isDoubtful(nowMs) || this.#options.consumer.isLost()) {
      this.#bell.ring();
    }
  }

  [Symbol.dispose](): void {
    const { open, consumer } = this.#options;
    open.signal.removeEventListener("abort", this.#ring);
    open.ended.removeEventListener("abort", this.#ring);
    consumer[Symbol.dispose]();
  }

  async *#untilEnded(): AsyncGenerator<Message> {
    const { open, consumer } = this.#options;
    while (!open.signal.aborted && !open.ended.aborted) {
      if (this.#isSuperseded) throw superseded();
      if (consumer.isLost()) {
        if (!(await consumer.recover(open.signal))) throw superseded();
        this.#window.doubtAll();
      }
      const message = await this.#next();
      if (message !== undefined) yield message;
    }
  }

  /** The next message to give out; `undefined`: something has changed, and what to do is to be decided anew. */
  async #next(): Promise<Message | undefined> {
    const { consumer } = this.#options;
    const nowMs = performance.now();
    consumer.refill(
      this.#isFull() ? Math.min(this.#window.dueCount(nowMs), maxRedeliveriesAtOnce) : maxAtOnce,
    );
    const [pulled] = consumer.waiting();
    if (this.#window.isDoubtful(nowMs)) await this.#look(() => this.#gate.checkGiven());
    else if (pulled === undefined) await this.#bell.rung();
    else if (this.#gate.needsCheck(pulled)) await this.#look(() => this.#gate.checkNext());
    else {
      consumer.take();
      return this.#gate.judge(pulled);
    }
    return undefined;
  }

  /** Where the broker does not answer, the stream waits for it. */
  async #look(check: () => Promise<void>): Promise<void> {
    try {
      await check();
    } catch (error) {
      if (!isRouterError(error, "BROKER_UNAVAILABLE")) throw error;
      this.doubt();
    }
  }

  #isFull(): boolean {
    return this.#window.bytes >= maxUnsettledBytes;
  }
}

function superseded(): RouterError {
  return new RouterError("SUPERSEDED", "a newer stream of the same party and session took over");
}
