import { AckPolicy, DeliverPolicy } from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import { isRouterError } from "../../domain/errors.ts";
import type { Mailbox } from "../../domain/messages/message.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { Nats } from "../connection.ts";
import { isConsumerGone } from "../errors.ts";
import { requireReader, type Owners } from "./owners.ts";
import { startPull, type Puller } from "./pull.ts";
import type { Pulled } from "./pulled.ts";
import { mailboxHash, streams, subjects } from "../subjects.ts";

/** The consumer of one mailbox stream, made anew when it is lost. It lives in memory and dies with its server. */
export interface MailboxConsumer extends AsyncDisposable {
  epoch(): number;
  waiting(): readonly Pulled[];
  take(): Pulled | undefined;
  refill(max: number): void;
  isLost(): boolean;
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
  readonly logger: Logger;
  readonly box: Mailbox;
  readonly keepUntil: number;
  /** Aborts when nobody wants the stream any more: then the mailbox is not taken from whoever has it. */
  readonly signal: AbortSignal;
  readonly ackWaitMs: number;
  /** Messages held here at most, in bytes. */
  readonly bufferBytes: number;
}

/** A consumer that nobody pulls from goes by itself after this, in milliseconds. */
const inactiveMs = 60_000;
const maxAckPending = 1_024;
const retryPauseMs = 200;

export async function openMailboxConsumer(
  options: MailboxConsumerOptions,
): Promise<MailboxConsumer> {
  const { nats, owners, box, keepUntil, signal } = options;
  let listener: (() => void) | undefined;
  let epoch = await owners.take(box, { keepUntil, signal });
  requireReader(signal);
  let backlog = await createConsumer(options, epoch);
  const pull = (): Puller =>
    startPull({
      nats,
      stream: streams.messages,
      consumer: consumerName(box, epoch),
      maxBytes: options.bufferBytes,
      onChange: () => listener?.(),
    });
  let puller = pull();
  let isDisposed = false;

  const makeAnew = async (): Promise<boolean> => {
    const before = consumerName(box, epoch);
    const renewed = await owners.renew(box, epoch, keepUntil);
    if (renewed === undefined) return false;
    epoch = renewed;
    backlog = await createConsumer(options, epoch);
    void removeConsumer(nats, before);
    if (isDisposed) void removeConsumer(nats, consumerName(box, epoch));
    puller[Symbol.dispose]();
    puller = pull();
    return true;
  };

  const tryRecover = async (): Promise<boolean> => {
    const delivered = await deliveredBy(nats, consumerName(box, epoch));
    // What it gave out and is not here was lost on its way, and would come again only after the ack wait. The count tells,
    // not the newest: a request that outlived a cut of the connection may have brought later ones since.
    if (delivered === undefined || delivered > puller.heardCount()) return makeAnew();
    if (!(await owners.isNewest(box, epoch))) return false;
    puller.askAnew();
    return true;
  };

  let disposing: Promise<void> | undefined;
  return {
    epoch: () => epoch,
    waiting: () => puller.waiting,
    take: () => puller.take(),
    refill: (max) => puller.refill(max),
    isLost: () => puller.isLost(),
    isBacklog: ({ consumerSequence }) => consumerSequence <= backlog,
    recover: (until) => untilAnswered(tryRecover, options, until),
    pause: () => puller[Symbol.dispose](),
    onChange: (next) => void (listener = next),
    [Symbol.asyncDispose]: () => {
      isDisposed = true;
      puller[Symbol.dispose]();
      return (disposing ??= removeConsumer(nats, consumerName(box, epoch)));
    },
  };
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

function consumerName(box: Mailbox, epoch: number): string {
  return `${mailboxHash(box)}-${epoch}`;
}

/** Resolves with the number of messages that are there already. */
async function createConsumer(options: MailboxConsumerOptions, epoch: number): Promise<number> {
  const { nats, box } = options;
  const info = await nats.attempt("opening a mailbox", () =>
    nats.jsm.consumers.add(streams.messages, {
      name: consumerName(box, epoch),
      filter_subject: subjects.mailbox(box),
      deliver_policy: DeliverPolicy.All,
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(options.ackWaitMs),
      max_deliver: -1,
      max_ack_pending: maxAckPending,
      inactive_threshold: nanos(inactiveMs),
      num_replicas: 1,
      mem_storage: true,
    }),
  );
  return info.num_pending;
}

/** How many deliveries the consumer has made; `undefined` when it is gone. */
async function deliveredBy(nats: Nats, name: string): Promise<number | undefined> {
  return nats.attempt("checking a mailbox", async () => {
    try {
      const info = await nats.jsm.consumers.info(streams.messages, name);
      return info.delivered.consumer_seq;
    } catch (error) {
      if (isConsumerGone(error)) return undefined;
      throw error;
    }
  });
}

async function removeConsumer(nats: Nats, name: string): Promise<void> {
  try {
    await nats.attempt("closing a mailbox", () =>
      nats.jsm.consumers.delete(streams.messages, name),
    );
  } catch {
    // It is gone already, or goes by itself when nobody has pulled from it for a minute.
  }
}
