import { isRouterError } from "../../domain/errors.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { startPeriodic } from "../periodic.ts";

/** Fan-outs that failed, and are gone on with until they are complete; by message id. */
export interface Unfinished<T> extends AsyncDisposable {
  /** Beyond a bound it is left to the sweep. */
  add(messageId: string, fanOut: T): void;
}

export interface UnfinishedOptions<T> {
  /** Resolves when nothing is left to be done. */
  readonly finish: (fanOut: T) => Promise<void>;
  readonly logger: Logger;
}

const maxUnfinished = 10_000;
const atOnce = 16;
const retryPauseMs = 500;

export function createUnfinished<T>({ finish, logger }: UnfinishedOptions<T>): Unfinished<T> {
  const all = new Map<string, T>();
  const stopping = new AbortController();

  /** Whether it makes sense to go on with others. */
  const tryOne = async ([messageId, fanOut]: readonly [string, T]): Promise<boolean> => {
    try {
      await finish(fanOut);
      all.delete(messageId);
      return true;
    } catch (error) {
      logger.debug({ messageId, err: error }, "fan-out still incomplete");
      return !isRouterError(error, "BROKER_UNAVAILABLE");
    }
  };

  const tryAll = async (): Promise<void> => {
    const entries = [...all];
    for (let start = 0; start < entries.length; start += atOnce) {
      if (stopping.signal.aborted) return;
      const outcomes = await Promise.all(entries.slice(start, start + atOnce).map(tryOne));
      if (outcomes.includes(false)) return;
    }
  };

  const what = "completing fan-outs";
  const periodic = startPeriodic(tryAll, { intervalMs: retryPauseMs, what, logger });
  return {
    add(messageId, fanOut) {
      if (all.size < maxUnfinished) all.set(messageId, fanOut);
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await periodic[Symbol.asyncDispose]();
    },
  };
}
