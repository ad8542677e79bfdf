import type { Logger } from "../telemetry/logger.ts";

export interface PeriodicOptions {
  readonly intervalMs: number;
  /** What the task does, for the log. */
  readonly what: string;
  readonly logger: Logger;
}

/** A run that failed is followed by the next one after at most this long. */
const retryMs = 250;

/** A task that is run again and again, never twice at a time. What it throws is logged; the next run tries again. */
export interface Periodic extends AsyncDisposable {
  /** Runs the task now, or once more after the run that is under way. */
  wake(): void;
}

/** Failures in a row after which an operator is told, once. */
const loudFailures = 3;

/** The first run is one interval from now. Disposing waits for a run that is under way. */
export function startPeriodic(task: () => Promise<void>, options: PeriodicOptions): Periodic {
  const { intervalMs, what, logger } = options;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let again = false;
  let failures = 0;
  const stopping = new AbortController();
  const once = async (): Promise<number> => {
    try {
      await task();
      failures = 0;
      return intervalMs;
    } catch (error) {
      failures += 1;
      // One failure is a cut; some in a row are somebody's to know, but not at every try.
      const level = failures === loudFailures ? "warn" : "debug";
      logger[level]({ err: error }, `${what}: trying again`);
      return Math.min(intervalMs, retryMs);
    }
  };
  const go = async (): Promise<void> => {
    let pauseMs: number;
    do {
      again = false;
      pauseMs = await once();
    } while (again && !stopping.signal.aborted);
    running = undefined;
    if (!stopping.signal.aborted) timer = setTimeout(run, pauseMs);
  };
  const run = (): void => {
    clearTimeout(timer);
    running = go();
  };
  timer = setTimeout(run, intervalMs);
  return {
    wake() {
      if (stopping.signal.aborted) return;
      if (running === undefined) run();
      else again = true;
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      clearTimeout(timer);
      await running;
    },
  };
}
