import { setTimeout as pause } from "node:timers/promises";
import type { Logger } from "../telemetry/logger.ts";
import type { NatsProcess } from "./nats-process.ts";

export interface SupervisorOptions {
  readonly first: NatsProcess;
  /** Starts the next one, on the same port. Gives up when the signal is aborted. */
  readonly start: (signal: AbortSignal) => Promise<NatsProcess>;
  readonly logger: Logger;
  /** Default: that of this machine. */
  readonly timing?: Timing;
}

/** Time, passed in so that a test can turn it. */
interface Timing {
  /** Milliseconds since some moment. */
  nowMs(): number;
  /** Rejects when the signal is aborted. */
  pause(ms: number, signal: AbortSignal): Promise<void>;
}

const machineTiming: Timing = {
  nowMs: () => performance.now(),
  pause: (ms, signal) => pause(ms, undefined, { signal }),
};

/** Keeps one nats-server running until disposed, which ends it. */
export interface Supervisor extends AsyncDisposable {
  current(): NatsProcess;
}

/** One that was up this long did not die of its own start, so the next is started without a pause again. */
const settledMs = 10_000;
const firstPauseMs = 100;
const longestPauseMs = 5_000;

export function superviseNats(options: SupervisorOptions): Supervisor {
  const stopping = new AbortController();
  let current = options.first;
  const { timing = machineTiming } = options;
  const loop = async (): Promise<void> => {
    let tries = 0;
    while (!stopping.signal.aborted) {
      const readySinceMs = timing.nowMs();
      const exit = await current.exited;
      if (stopping.signal.aborted) return;
      options.logger.error({ pid: current.pid, ...exit }, "nats-server ended, starting it again");
      if (timing.nowMs() - readySinceMs > settledMs) tries = 0;
      const next = await startAgain(options, tries, stopping.signal);
      if (next === undefined) return;
      current = next.process;
      tries = next.tries;
    }
    // Disposed at the moment when the next one had become ready.
    await current.stop();
  };
  const running = loop();
  let disposing: Promise<void> | undefined;
  const dispose = async (): Promise<void> => {
    stopping.abort();
    await current.stop();
    await running;
  };
  return { current: () => current, [Symbol.asyncDispose]: () => (disposing ??= dispose()) };
}

/** Tries until one starts, the first time at once, then with growing pauses. Undefined: aborted. */
async function startAgain(
  { start, logger, timing = machineTiming }: SupervisorOptions,
  triesBefore: number,
  signal: AbortSignal,
): Promise<{ readonly process: NatsProcess; readonly tries: number } | undefined> {
  for (let tries = triesBefore; ; tries += 1) {
    try {
      await timing.pause(pauseMs(tries), signal);
      const process = await start(signal);
      logger.info({ pid: process.pid }, "nats-server is ready again");
      return { process, tries: tries + 1 };
    } catch (error) {
      if (signal.aborted) return undefined;
      logger.error({ err: error }, "nats-server does not start, trying again");
    }
  }
}

function pauseMs(tries: number): number {
  return tries === 0 ? 0 : Math.min(firstPauseMs * 2 ** (tries - 1), longestPauseMs);
}
