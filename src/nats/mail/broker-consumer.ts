import { AckPolicy, DeliverPolicy, type ConsumerInfo } from "@nats-io/jetstream";
import { nanos, nuid } from "@nats-io/transport-node";
import { isRouterError } from "../../domain/errors.ts";
import type { Mailbox } from "../../domain/messages/message.ts";
import type { Nats } from "../connection.ts";
import { isConsumerGone } from "../errors.ts";
import { lastSequence } from "../reading.ts";
import type { Pulled } from "./pulled.ts";
import { mailboxHash, streams, subjects } from "../subjects.ts";

/** A consumer as the broker made it. */
export interface BrokerConsumer {
  readonly name: string;
  /** The server that holds it, alone; empty where there is one server only. */
  readonly node: string;
  /** Whether the message was there before it was. */
  isBacklog(pulled: Pulled): boolean;
}

/** A consumer that nobody pulls from goes by itself after this, in milliseconds. */
const inactiveMs = 60_000;
const maxAckPending = 1_024;
/**
 * A cluster goes on placing consumers on a server that died, for minutes: who gets no answer for this long, in
 * milliseconds, has another one made. To wait too short would double the work of a cluster that is merely busy …
 */
const placementRepeatMs = 500;
/** … but where a server is known to be away, silence has another cause. */
const awayRepeatMs = 200;
/** A server that says nothing of its consumer for this long, in milliseconds, has lost it. */
const maxSilenceMs = 1_000;

export interface ConsumerOptions {
  readonly box: Mailbox;
  readonly ackWaitMs: number;
  /** A server is known to be away: two are made at the same time, of which one is kept. */
  readonly isServerAway: boolean;
}

/** Each is made under another name, so that none waits for a server that is away; only the first answer is kept. */
export async function makeConsumer(
  nats: Nats,
  { box, ackWaitMs, isServerAway }: ConsumerOptions,
): Promise<BrokerConsumer> {
  const names = new Set<string>();
  const make = async (): Promise<ConsumerInfo> => {
    const name = `${mailboxHash(box)}-${nuid.next()}`;
    names.add(name);
    return nats.jsm.consumers.add(streams.messages, {
      name,
      filter_subject: subjects.mailbox(box),
      deliver_policy: DeliverPolicy.All,
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(ackWaitMs),
      max_deliver: -1,
      max_ack_pending: maxAckPending,
      inactive_threshold: nanos(inactiveMs),
      num_replicas: 1,
      mem_storage: true,
    });
  };
  try {
    const limits = { repeatMs: isServerAway ? awayRepeatMs : placementRepeatMs };
    const makeSome = (): Promise<ConsumerInfo> =>
      isServerAway ? firstOf([make(), make()]) : make();
    const made = await nats.attempt("opening a mailbox", makeSome, limits);
    const backlog = await backlogOf(nats, made);
    names.delete(made.name);
    return { name: made.name, node: made.cluster?.leader ?? "", isBacklog: backlog };
  } finally {
    for (const name of names) removeConsumer(nats, name);
  }
}

/** A server of a cluster may be behind: what it does not have yet it does not count, and its consumer brings it later. */
async function backlogOf(nats: Nats, made: ConsumerInfo): Promise<BrokerConsumer["isBacklog"]> {
  if (!nats.isClustered) return ({ consumerSequence }) => consumerSequence <= made.num_pending;
  const newest = await lastSequence(nats, streams.messages);
  return ({ sequence }) => sequence <= newest;
}

async function firstOf<T>(tries: readonly Promise<T>[]): Promise<T> {
  try {
    return await Promise.any(tries);
  } catch (error) {
    throw error instanceof AggregateError ? error.errors[0] : error;
  }
}

/** How many deliveries the consumer has made; `undefined` when it is gone, or on a server of the cluster that is. */
export async function deliveriesOf(nats: Nats, name: string): Promise<number | undefined> {
  const ask = async (): Promise<number | undefined> => {
    try {
      const info = await nats.jsm.consumers.info(streams.messages, name);
      return info.delivered.consumer_seq;
    } catch (error) {
      if (isConsumerGone(error)) return undefined;
      throw error;
    }
  };
  if (!nats.isClustered) return nats.attempt("checking a mailbox", ask);
  try {
    return await nats.attempt("checking a mailbox", ask, { budgetMs: maxSilenceMs });
  } catch (error) {
    if (isRouterError(error, "BROKER_UNAVAILABLE") && nats.isConnected()) return undefined;
    throw error;
  }
}

/** Not awaited: whether it goes now or, a minute after the last request, by itself makes no difference to anybody. */
export function removeConsumer({ nc }: Nats, name: string): void {
  if (!nc.isClosed()) nc.publish(`$JS.API.CONSUMER.DELETE.${streams.messages}.${name}`);
}
