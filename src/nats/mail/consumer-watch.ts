import type { ConsumerInfo } from "@nats-io/jetstream";
import { withinBudget } from "../../domain/call-budget.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { Nats } from "../connection.ts";
import { isConsumerGone } from "../errors.ts";
import { streams } from "../subjects.ts";

/** A consumer that lives on one server of a cluster, and dies with it. */
interface WatchedConsumer {
  readonly name: string;
  readonly node: string;
  /** Called before the broker is asked of it; tells whether the answer fits what was heard from the consumer. */
  expectation(): (info: ConsumerInfo) => boolean;
  /** Something is wrong with it or its server: it must be looked at. */
  doubt(): void;
  /** Its server is silent. */
  lose(): void;
}

/**
 * Notices within about a second that a server of the cluster died, at a cost per server, not per consumer: in turn, two
 * consumers of each are asked after. Of a lone server the connection itself tells.
 */
export interface ConsumerWatch extends Disposable {
  /** Returns the way to stop. */
  add(consumer: WatchedConsumer): () => void;
  /** Whether a server fell silent so lately that the cluster may not know of it yet. */
  isServerAway(): boolean;
  /** There is a reason to look now. */
  look(): void;
}

const intervalMs = 500;
const askedAtOnce = 2;
/** Silence after which a server counts as dead, in milliseconds: longer where answers have been slow … */
const minSilenceMs = 1_000;
/** … and shorter where the others have just lost their connections to it. */
const minSilenceOfLeaverMs = 300;
const maxSilenceMs = 3_000;
const slownessFactor = 4;
/** The cluster itself notes so long after a server died that it is away, in milliseconds. */
const unnoticedMs = 240_000;
/** A process that stood still has not heard answers that are there. */
const stallMs = 150;

type Finding = "well" | "ill" | "gone" | "silent" | "unknown";

export function watchConsumers(nats: Nats, { logger }: { readonly logger: Logger }): ConsumerWatch {
  const nodes = new Map<string, Set<WatchedConsumer>>();
  const beingAsked = new Set<string>();
  const within = createPatience();
  let silentAt = Number.NEGATIVE_INFINITY;

  const askAfter = async (consumer: WatchedConsumer, minMs: number): Promise<Finding> => {
    const fits = consumer.expectation();
    const info = await within(nats.jsm.consumers.info(streams.messages, consumer.name), minMs);
    if (typeof info === "string") return info;
    return fits(info) ? "well" : "ill";
  };

  const lookAt = async (node: string, minMs: number): Promise<void> => {
    const consumers = nodes.get(node) ?? new Set();
    const asked = nextOf(consumers);
    const [link, ...findings] = await Promise.all([
      within(nats.nc.rtt(), minMs),
      ...asked.map((consumer) => askAfter(consumer, minMs)),
    ]);
    if (!nats.isConnected() || link === "silent" || link === "unknown") return;
    // Meanwhile another look may have found the same, and new ones may be there since.
    if (!asked.every((consumer) => consumers.has(consumer))) return;
    if (asked.length > 0 && findings.every((finding) => finding === "silent")) {
      logger.warn({ node, consumers: consumers.size }, "a NATS server is silent");
      silentAt = performance.now();
      for (const consumer of consumers) consumer.lose();
      consumers.clear();
    } else if (findings.includes("ill")) {
      for (const consumer of consumers) consumer.doubt();
    } else {
      for (const [index, finding] of findings.entries()) {
        if (finding === "gone" || finding === "silent") asked[index]?.doubt();
      }
    }
  };

  const look = (minMs: number): void => {
    if (!nats.isClustered || !nats.isConnected()) return;
    for (const [node, consumers] of nodes) {
      const key = `${node} ${minMs}`;
      if (beingAsked.has(key) || consumers.size === 0) continue;
      beingAsked.add(key);
      void lookAt(node, minMs).finally(() => beingAsked.delete(key));
    }
  };
  const lookQuickly = (): void => look(minSilenceOfLeaverMs);
  const timer = setInterval(() => look(minSilenceMs), intervalMs);
  const offMembers = nats.onMembersChange(lookQuickly);
  return {
    add(consumer) {
      const consumers = nodes.get(consumer.node) ?? new Set();
      nodes.set(consumer.node, consumers.add(consumer));
      return () => void consumers.delete(consumer);
    },
    isServerAway: () => performance.now() - silentAt < unnoticedMs,
    look: lookQuickly,
    [Symbol.dispose]() {
      clearInterval(timer);
      offMembers();
    },
  };
}

/** The next to be asked after, which go to the end of the row. */
function nextOf(consumers: Set<WatchedConsumer>): readonly WatchedConsumer[] {
  const next: WatchedConsumer[] = [];
  for (const consumer of consumers) {
    if (next.length === askedAtOnce) break;
    next.push(consumer);
  }
  for (const consumer of next) {
    consumers.delete(consumer);
    consumers.add(consumer);
  }
  return next;
}

type Patience = <T>(operation: Promise<T>, minMs: number) => Promise<T | Finding>;

/** Waits for an answer for at least so long, and longer where answers have been slow. */
function createPatience(): Patience {
  let usualMs = 0;
  return async (operation, minMs) => {
    const limitMs = Math.min(maxSilenceMs, Math.max(minMs, slownessFactor * usualMs));
    const askedAt = performance.now();
    try {
      const answer = await withinBudget("watching consumers", operation, limitMs);
      usualMs = Math.max(performance.now() - askedAt, usualMs * 0.9);
      return answer;
    } catch (error) {
      if (isConsumerGone(error)) return "gone";
      return performance.now() - askedAt > limitMs + stallMs ? "unknown" : "silent";
    }
  };
}
