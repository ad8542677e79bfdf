import {
  jetstream,
  jetstreamManager,
  type JetStreamClient,
  type JetStreamManager,
} from "@nats-io/jetstream";
import { setTimeout as delay } from "node:timers/promises";
import {
  connect,
  type NatsConnection,
  type NodeConnectionOptions,
  type Status,
} from "@nats-io/transport-node";
import { callBudgetMs } from "../domain/call-budget.ts";
import type { Clock } from "../domain/clock.ts";
import type { Logger } from "../telemetry/logger.ts";
import { attempt, type AttemptLimits } from "./attempt.ts";
import { keepOffSilentServers } from "./silent-server.ts";
import { subjects } from "./subjects.ts";

export interface NatsOptions {
  readonly url: string;
  readonly user?: string;
  readonly pass?: string;
  /** Without encryption no connection is made. */
  readonly requiresTls?: boolean;
  /** Name shown in the server's list of connections. */
  readonly name: string;
  /** How long to wait for the first connection before giving up, in milliseconds. */
  readonly connectTimeoutMs: number;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** The one connection of an instance, and the rule how an operation is tried on it. */
export interface Nats extends AsyncDisposable {
  readonly nc: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly clock: Clock;
  /** Largest message the server accepts, headers included, in bytes. */
  readonly maxPayloadBytes: number;
  /** Whether the server that is connected now, or was last, is one of a cluster. */
  readonly isClustered: boolean;
  isConnected(): boolean;
  /**
   * Runs one operation, again after a reconnect or a passing fault, on a cluster also beside a try that stays silent,
   * until the budget is spent: then BROKER_UNAVAILABLE. So the operation must be safe to repeat.
   */
  attempt<T>(what: string, operation: () => Promise<T>, limits?: AttemptLimits): Promise<T>;
  /** Called after each reconnect. Returns the way to stop. */
  onReconnect(listener: () => void): () => void;
  /** Called when a server joined or left the cluster, or may have. Returns the way to stop. */
  onMembersChange(listener: () => void): () => void;
  /** Called when the connection is lost and when it is back. Returns the way to stop. */
  onConnectionChange(listener: (connected: boolean) => void): () => void;
  /**
   * To be called when the router stops: what still waits for the broker after a while gives up, so that a broker that
   * does not answer holds up nothing.
   */
  beginClosing(): void;
}

/** What is left to do when the router stops takes a few milliseconds with a broker that answers. */
const closingMs = 1_000;

export async function connectNats(options: NatsOptions): Promise<Nats> {
  const nc = await connect(libraryOptions(options));
  /** What is in flight, to be tried again. */
  const cuts = new Set<() => void>();
  const reconnected = new Set<() => void>();
  const membersChanged = new Set<() => void>();
  const changed = new Set<(connected: boolean) => void>();
  let connected = true;
  const onStatus = (status: Status): void => {
    if (status.type === "update") for (const listener of membersChanged) listener();
    if (status.type !== "disconnect" && status.type !== "reconnect") return;
    connected = status.type === "reconnect";
    options.logger.warn({ server: nc.getServer() }, `nats ${status.type}`);
    for (const listener of changed) listener(connected);
    if (!connected) return;
    for (const listener of cuts) listener();
    for (const listener of reconnected) listener();
  };
  const watching = (async () => {
    for await (const status of nc.status()) onStatus(status);
  })();
  // What a stream was asked while it had no leader is lost without a word.
  nc.subscribe(subjects.elections, {
    callback: () => {
      for (const listener of cuts) listener();
    },
  });
  const isClustered = (): boolean => nc.info?.cluster !== undefined;
  // The library's own time-out must outlast the budget, or it would hide the difference between a slow and a lost try.
  const js = jetstream(nc, { timeout: callBudgetMs + 500 });
  // Unchecked: a cluster without a leader answers nothing, and has one a few seconds later.
  const jsm = await jetstreamManager(nc, { timeout: callBudgetMs + 500, checkAPI: false });
  const stopping = new AbortController();
  const keeping = keepOffSilentServers(nc, { isClustered, signal: stopping.signal });
  let closingTimer: NodeJS.Timeout | undefined;
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    stopping.abort();
    clearTimeout(closingTimer);
    await nc.close();
    // Whatever is in flight tries again, and learns that it is over.
    for (const listener of cuts) listener();
    await Promise.all([watching, keeping]);
  };
  const dispose = (): Promise<void> => (closing ??= close());
  return {
    nc,
    js,
    jsm,
    clock: options.clock,
    maxPayloadBytes: nc.info?.max_payload ?? 1_048_576,
    get isClustered() {
      return isClustered();
    },
    isConnected: () => connected && !nc.isClosed(),
    attempt: (what, operation, limits) =>
      attempt({
        ...limits,
        what,
        operation,
        isClustered: isClustered(),
        onCut: (listener) => listen(cuts, listener),
      }),
    onReconnect: (listener) => listen(reconnected, listener),
    onMembersChange: (listener) => listen(membersChanged, listener),
    onConnectionChange: (listener) => listen(changed, listener),
    beginClosing: () => void (closingTimer ??= setTimeout(() => void dispose(), closingMs)),
    [Symbol.asyncDispose]: async () => {
      // What was sent last without waiting for an answer.
      if (connected && !nc.isClosed())
        await Promise.race([nc.flush(), delay(closingMs, undefined, { ref: false })]);
      await dispose();
    },
  };
}

function libraryOptions(options: NatsOptions): NodeConnectionOptions {
  return {
    servers: options.url.split(","),
    name: options.name,
    ...(options.user === undefined ? {} : { user: options.user }),
    ...(options.pass === undefined ? {} : { pass: options.pass }),
    ...(options.requiresTls === true ? { tls: {} } : {}),
    timeout: options.connectTimeoutMs,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
    reconnectJitter: 100,
    pingInterval: 2_500,
    maxPingOut: 2,
    // An error object made for every request, for the stack of the few that fail, cost 7 % of the process.
    noAsyncTraces: true,
  };
}

function listen<T>(listeners: Set<T>, listener: T): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}
