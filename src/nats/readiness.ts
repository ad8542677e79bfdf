import { withinBudget } from "../domain/call-budget.ts";
import type { Logger } from "../telemetry/logger.ts";
import { openBucket } from "./bucket.ts";
import type { Nats } from "./connection.ts";
import { startPeriodic } from "./periodic.ts";
import { buckets } from "./subjects.ts";

/** Whether the broker is there and takes writes. */
export interface BrokerReadiness extends AsyncDisposable {
  isReady(): boolean;
  /** Why not, in one line; empty while ready. */
  reason(): string;
  /** Calls the listener after each change. Returns the way to stop. */
  onChange(listener: () => void): () => void;
}

/** How often a small write is tried, in milliseconds. */
const probeMs = 2_000;
const probeTtlMs = 60_000;
/** A write that takes longer is none that calls could rely on, in milliseconds. */
const probeBudgetMs = 1_000;

export interface ReadinessOptions {
  readonly instanceId: string;
  readonly logger: Logger;
}

/** Tries the writing itself: a server that is connected may be out of disk, or without a leader. */
export function watchReadiness(
  nats: Nats,
  { instanceId, logger }: ReadinessOptions,
): BrokerReadiness {
  const bucket = openBucket<object>(nats, buckets.owners);
  const listeners = new Set<() => void>();
  let isWritable = true;
  let reason = "";
  const update = (): void => {
    const next = !nats.isConnected()
      ? "the connection to NATS is lost"
      : isWritable
        ? ""
        : "NATS does not take writes";
    if (next === reason) return;
    reason = next;
    for (const listener of listeners) listener();
  };
  const probe = async (): Promise<void> => {
    try {
      const put = bucket.put(`probe.${instanceId}`, {}, { ttlMs: probeTtlMs });
      await withinBudget("probing NATS", put, probeBudgetMs);
      isWritable = true;
    } catch (error) {
      isWritable = false;
      throw error;
    } finally {
      update();
    }
  };
  const periodic = startPeriodic(probe, { intervalMs: probeMs, what: "probing NATS", logger });
  const off = nats.onConnectionChange((connected) => {
    update();
    if (connected) periodic.wake();
  });
  return {
    isReady: () => reason === "",
    reason: () => reason,
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async [Symbol.asyncDispose]() {
      off();
      await periodic[Symbol.asyncDispose]();
    },
  };
}
