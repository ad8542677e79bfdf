import {
  jetstream,
  jetstreamManager,
  type JetStreamClient,
  type JetStreamManager,
} from "@nats-io/jetstream";
import { connect, type NatsConnection, type Status } from "@nats-io/transport-node";
import { callBudgetMs } from "../domain/call-budget.ts";
import type { Clock } from "../domain/clock.ts";
import { brokerUnavailable } from "../domain/errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import { isClosed, isTransient } from "./errors.ts";

const retryPauseMs = 100;

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
  readonly isClustered: boolean;
  isConnected(): boolean;
  /**
   * Runs one operation, again after a reconnect or a passing fault, until the budget (milliseconds, by default
   * {@link callBudgetMs}) is spent: then BROKER_UNAVAILABLE. So the operation must be safe to repeat.
   */
  attempt<T>(what: string, operation: () => Promise<T>, budgetMs?: number): Promise<T>;
  /** Called after each reconnect. Returns the way to stop. */
  onReconnect(listener: () => void): () => void;
  /** Called when the connection is lost and when it is back. Returns the way to stop. */
  onConnectionChange(listener: (connected: boolean) => void): () => void;
}

export async function connectNats(options: NatsOptions): Promise<Nats> {
  const nc = await connect({
    servers: options.url.split(","),
    name: options.name,
    ...(options.user === undefined ? {} : { user: options.user }),
    ...(options.pass === undefined ? {} : { pass: options.pass }),
    ...(options.requiresTls === true ? { tls: {} } : {}),
    timeout: options.connectTimeoutMs,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
    reconnectJitter: 100,
    pingInterval: 5_000,
    maxPingOut: 2,
    // An error object made for every request, for the stack of the few that fail, cost 7 % of the process.
    noAsyncTraces: true,
  });
  const reconnected = new Set<() => void>();
  const changed = new Set<(connected: boolean) => void>();
  let connected = true;
  const onStatus = (status: Status): void => {
    if (status.type !== "disconnect" && status.type !== "reconnect") return;
    connected = status.type === "reconnect";
    options.logger.warn({ server: nc.getServer() }, `nats ${status.type}`);
    for (const listener of changed) listener(connected);
    if (connected) for (const listener of reconnected) listener();
  };
  const watching = (async () => {
    for await (const status of nc.status()) onStatus(status);
  })();
  const onReconnect = (listener: () => void): (() => void) => listen(reconnected, listener);
  // The library's own time-out must outlast the budget, or it would hide the difference between a slow and a lost try.
  const js = jetstream(nc, { timeout: callBudgetMs + 500 });
  const jsm = await jetstreamManager(nc, { timeout: callBudgetMs + 500 });
  let closing: Promise<void> | undefined;
  return {
    nc,
    js,
    jsm,
    clock: options.clock,
    maxPayloadBytes: nc.info?.max_payload ?? 1_048_576,
    isClustered: nc.info?.cluster !== undefined,
    isConnected: () => connected && !nc.isClosed(),
    attempt: (what, operation, budgetMs = callBudgetMs) =>
      attempt({ what, operation, budgetMs, onReconnect }),
    onReconnect,
    onConnectionChange: (listener) => listen(changed, listener),
    [Symbol.asyncDispose]: () => (closing ??= nc.close().then(() => watching)),
  };
}

function listen<T>(listeners: Set<T>, listener: T): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

interface Attempt<T> {
  readonly what: string;
  readonly operation: () => Promise<T>;
  readonly budgetMs: number;
  readonly onReconnect: (listener: () => void) => () => void;
}

const again = Symbol("again");

async function attempt<T>({ what, operation, budgetMs, onReconnect }: Attempt<T>): Promise<T> {
  const deadline = performance.now() + budgetMs;
  for (;;) {
    const remainingMs = deadline - performance.now();
    try {
      const result = await firstOf(operation, Math.max(1, remainingMs), onReconnect);
      if (result !== again) return result;
    } catch (error) {
      if (!isTransient(error)) throw error;
      const isLate = deadline - performance.now() <= retryPauseMs;
      if (isLate || isClosed(error)) throw brokerUnavailable(what, error);
      await new Promise((resolve) => setTimeout(resolve, retryPauseMs));
    }
    if (performance.now() >= deadline) throw brokerUnavailable(what);
  }
}

/**
 * What is in flight when the connection is cut is lost without a word; so a reconnect or the end of the budget ends a
 * try as well as its own answer.
 */
function firstOf<T>(
  operation: () => Promise<T>,
  limitMs: number,
  onReconnect: (listener: () => void) => () => void,
): Promise<T | typeof again> {
  return new Promise((resolve, reject) => {
    const off = onReconnect(() => settle(() => resolve(again)));
    const timer = setTimeout(() => settle(() => resolve(again)), limitMs);
    const settle = (act: () => void): void => {
      off();
      clearTimeout(timer);
      act();
    };
    operation().then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error)),
    );
  });
}
