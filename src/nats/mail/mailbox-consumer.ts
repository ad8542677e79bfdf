import { setTimeout as delay } from "node:timers/promises";
import type { ConsumerInfo } from "@nats-io/jetstream";
import { brokerUnavailable, isRouterError } from "../../domain/errors.ts";
import type { Mailbox } from "../../domain/messages/message.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { Nats } from "../connection.ts";
import {
  deliveriesOf,
  makeConsumer,
  removeConsumer,
  type BrokerConsumer,
} from "./broker-consumer.ts";
import type { ConsumerWatch } from "./consumer-watch.ts";
import { requireReader, type Owners } from "./owners.ts";
import { startPull, type Puller } from "./pull.ts";
import type { Pulled } from "./pulled.ts";
import type { Turns } from "./turns.ts";
import { streams } from "../subjects.ts";

/** The consumer of one mailbox stream, made anew when it is lost. It lives in memory and dies with its server. */
export interface MailboxConsumer extends Disposable {
  epoch(): number;
  waiting(): readonly Pulled[];
  take(): Pulled | undefined;
  refill(max: number): void;
  /** Whether there is a reason to recover. */
  isLost(): boolean;
  /** What is believed of consumer and owner must be checked. */
  doubt(): void;
  /** Whether the message was there before the consumer was: it may have been given out or settled before. */
  isBacklog(pulled: Pulled): boolean;
  /**
   * Checks owner and consumer, however long the broker is away; false when a newer stream has taken the mailbox. The
   * consumer is made anew where it is gone, or has sent more than has arrived.
   */
  recover(signal: AbortSignal): Promise<boolean>;
  /** Takes nothing any more. */
  pause(): void;
  onChange(listener: () => void): void;
}

export interface MailboxConsumerOptions {
  readonly nats: Nats;
  readonly owners: Owners;
  readonly watch: ConsumerWatch;
  /** Bounds how many consumers of this instance are made for new streams at once. */
  readonly openTurns: Turns;
  /** Bounds how many streams of this instance check and renew their consumers at once. */
  readonly turns: Turns;
  readonly logger: Logger;
  readonly box: Mailbox;
  readonly keepUntil: number;
  /** Aborts when nobody wants the stream any more: then the mailbox is not taken from whoever has it. */
  readonly signal: AbortSignal;
  readonly ackWaitMs: number;
  /** Messages held here at most, in bytes. */
  readonly bufferBytes: number;
}

const retryPauseMs = 200;
/** A stream that has not come to its turn after this, in milliseconds, is not opened: the broker is too slow. */
const maxWaitMs = 10_000;
/** A request that the broker has had for so long, in milliseconds, it must know of. */
const knownAfterMs = 1_000;
/** What a consumer sends to the place of a request that was given up arrives within this, in milliseconds, or is lost. */
const lateMs = 1_000;
const arrivalPollMs = 20;
const maxArrivalPolls = 10;

export async function openMailboxConsumer(
  options: MailboxConsumerOptions,
): Promise<MailboxConsumer> {
  const { nats, owners, openTurns, box, keepUntil, signal } = options;
  const waitingSince = performance.now();
  const consumer = await openTurns.take(() => {
    requireReader(signal);
    if (performance.now() - waitingSince > maxWaitMs) throw brokerUnavailable("opening a mailbox");
    return make(options);
  });
  try {
    // Last, so that a stream that cannot be opened ends no older one.
    const epoch = await owners.take(box, { keepUntil, signal });
    return new RenewedConsumer(options, consumer, epoch);
  } catch (error) {
    removeConsumer(nats, consumer.name);
    throw error;
  }
}

class RenewedConsumer implements MailboxConsumer {
  readonly #options: MailboxConsumerOptions;
  #epoch: number;
  #current: BrokerConsumer;
  #puller: Puller;
  #unwatch: () => void;
  #listener: (() => void) | undefined;
  #isDisposed = false;
  #isDoubted = false;
  #isGone = false;
  /** Resolves when the consumer is known to be gone. */
  #gone = Promise.withResolvers<undefined>();
  /** When it must be looked whether what it sent has arrived, as `performance.now()` has it. */
  #countAt = Number.POSITIVE_INFINITY;

  constructor(options: MailboxConsumerOptions, consumer: BrokerConsumer, epoch: number) {
    this.#options = options;
    this.#current = consumer;
    this.#epoch = epoch;
    this.#puller = this.#pull();
    this.#unwatch = this.#watch();
  }

  epoch(): number {
    return this.#epoch;
  }

  waiting(): readonly Pulled[] {
    return this.#puller.waiting;
  }

  take(): Pulled | undefined {
    return this.#puller.take();
  }

  refill(max: number): void {
    this.#puller.refill(max);
  }

  isLost(): boolean {
    return this.#isGone || this.#isDoubted || this.#isToCount() || this.#puller.isLost();
  }

  doubt(): void {
    this.#isDoubted = true;
    this.#listener?.();
  }

  isBacklog(pulled: Pulled): boolean {
    return this.#current.isBacklog(pulled);
  }

  recover(signal: AbortSignal): Promise<boolean> {
    const recover = async (): Promise<boolean> => signal.aborted || (await this.#recover());
    return untilAnswered(() => this.#options.turns.take(recover), this.#options, signal);
  }

  pause(): void {
    this.#puller[Symbol.dispose]();
  }

  onChange(listener: () => void): void {
    this.#listener = listener;
  }

  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#letGo();
  }

  #pull(): Puller {
    return startPull({
      nats: this.#options.nats,
      stream: streams.messages,
      consumer: this.#current.name,
      maxBytes: this.#options.bufferBytes,
      onChange: () => this.#listener?.(),
    });
  }

  #watch(): () => void {
    return this.#options.watch.add({
      ...this.#current,
      expectation: () => this.#expectation(this.#puller),
      doubt: () => this.doubt(),
      lose: () => {
        this.#isGone = true;
        this.#gone.resolve(undefined);
        this.#listener?.();
      },
    });
  }

  /** What the broker must know of it: at least what has arrived, and the request that is open. */
  #expectation(puller: Puller): (info: ConsumerInfo) => boolean {
    const heard = puller.heardCount();
    const isWaiting = puller.hasWaited(knownAfterMs);
    return ({ delivered, num_waiting: waiting }) => {
      if (delivered.consumer_seq > puller.heardCount()) this.#countLater();
      const isKnown = waiting > 0 || !isWaiting || !puller.hasWaited(knownAfterMs);
      return delivered.consumer_seq >= heard && isKnown;
    };
  }

  #letGo(): void {
    this.#unwatch();
    this.#puller[Symbol.dispose]();
    removeConsumer(this.#options.nats, this.#current.name);
  }

  async #recover(): Promise<boolean> {
    const { nats, owners, box } = this.#options;
    if (this.#isGone) return this.#makeAnew();
    if (this.#isToCount() && !this.#isDoubted && !this.#puller.isLost()) return this.#count();
    this.#isDoubted = false;
    const heardBefore = this.#puller.heardCount();
    const delivered = await this.#delivered();
    if (delivered === undefined) return this.#makeAnew();
    // What it gave out and is not here was lost on its way, and would come again only after the ack wait. The count tells,
    // not the newest: a request that outlived a cut of the connection may have brought later ones since. A server that
    // comes back makes its consumers anew under their names, which then count from the beginning.
    if (delivered > this.#puller.heardCount() || delivered < heardBefore) return this.#makeAnew();
    if (!(await owners.isNewest(box, this.#epoch))) return false;
    this.#puller.askAnew();
    if (nats.isClustered) this.#countLater();
    return true;
  }

  /** Nothing is known to be wrong; but a message may have got lost on its way through the cluster, unseen. */
  async #count(): Promise<boolean> {
    this.#countAt = Number.POSITIVE_INFINITY;
    const delivered = await this.#delivered();
    if (delivered === undefined) return this.#makeAnew();
    for (let polls = 0; delivered > this.#puller.heardCount(); polls += 1) {
      if (polls === maxArrivalPolls) return this.#makeAnew();
      await delay(arrivalPollMs);
    }
    return true;
  }

  async #makeAnew(): Promise<boolean> {
    const { owners, box, keepUntil } = this.#options;
    const epoch = await owners.renew(box, this.#epoch, keepUntil);
    if (epoch === undefined) return false;
    this.#epoch = epoch;
    const made = await make(this.#options);
    this.#letGo();
    this.#current = made;
    this.#isGone = false;
    this.#gone = Promise.withResolvers();
    this.#countAt = Number.POSITIVE_INFINITY;
    this.#puller = this.#pull();
    this.#unwatch = this.#watch();
    if (this.#isDisposed) this.#letGo();
    return true;
  }

  /** `undefined` where it is gone. */
  #delivered(): Promise<number | undefined> {
    return Promise.race([deliveriesOf(this.#options.nats, this.#current.name), this.#gone.promise]);
  }

  #countLater(): void {
    this.#countAt = performance.now() + lateMs;
  }

  #isToCount(): boolean {
    return performance.now() > this.#countAt;
  }
}

function make({ nats, box, ackWaitMs, watch }: MailboxConsumerOptions): Promise<BrokerConsumer> {
  return makeConsumer(nats, { box, ackWaitMs, isServerAway: watch.isServerAway() });
}

/** Tries again while the broker is away; true when the signal ends the tries. */
async function untilAnswered(
  recover: () => Promise<boolean>,
  { logger, box: { partyId, sessionId } }: MailboxConsumerOptions,
  signal: AbortSignal,
): Promise<boolean> {
  while (!signal.aborted) {
    try {
      return await recover();
    } catch (error) {
      if (!isRouterError(error, "BROKER_UNAVAILABLE")) throw error;
      logger.debug({ partyId, sessionId }, "waiting for the broker");
      await new Promise((resolve) => setTimeout(resolve, retryPauseMs));
    }
  }
  return true;
}
