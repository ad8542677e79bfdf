import { setTimeout as pause } from "node:timers/promises";
import type { Logger } from "../telemetry/logger.ts";
import type { StoreHealth } from "./nats-health.ts";
import type { StoreMarks } from "./store-marks.ts";

export interface StoreWatchOptions {
  /** As in a `NatsProcess`. */
  readonly health: (signal: AbortSignal) => Promise<StoreHealth | undefined>;
  readonly marks: StoreMarks;
  /** Whether a server started now could write. */
  readonly isWritable: () => Promise<boolean>;
  /** Ends the server, which somebody else starts again. */
  readonly restart: () => Promise<unknown>;
  readonly logger: Logger;
  /** Default: that of this machine. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/**
 * Looks after the store of a nats-server, until disposed. After a write that failed, as on a full disk, a stream of it
 * takes no more until the server is started anew (2.15): which is done once there is space again. Until then it runs on,
 * for those who read.
 */
export interface StoreWatch extends AsyncDisposable {
  /** What is wrong, in a few words fit for everybody; empty: nothing. */
  trouble(): string;
  /** Calls the listener after each change. Returns the way to stop. */
  onChange(listener: () => void): () => void;
}

const intervalMs = 1_000;

export function watchStore(options: StoreWatchOptions): StoreWatch {
  const { logger, pause: rest = machinePause } = options;
  const stopping = new AbortController();
  const listeners = new Set<() => void>();
  let complaint = "";
  const look = async (): Promise<void> => {
    const health = await options.health(stopping.signal);
    if (health === undefined) return;
    if (health.complaint !== complaint) note(health.complaint);
    for (const loss of await options.marks.note(health.positions)) {
      logger.error(
        { complaint: loss },
        "the message store was damaged and has lost what it had stored",
      );
    }
    if (!health.isCurable || !(await options.isWritable())) return;
    logger.warn({}, "the message store can be written again: nats-server is started anew");
    await options.restart();
  };
  const note = (next: string): void => {
    // Its figures grow from look to look.
    const isNews = inFewWords(next) !== inFewWords(complaint);
    complaint = next;
    if (!isNews) return;
    if (next === "") logger.info({}, "the message store is well again");
    else logger.error({ complaint: next }, "nats-server complains of its store");
    for (const listener of listeners) listener();
  };
  const loop = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await look();
      await rest(intervalMs, stopping.signal).catch(() => undefined);
    }
  };
  const running = loop();
  return {
    trouble: () => inFewWords(complaint),
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running;
    },
  };
}

function machinePause(ms: number, signal: AbortSignal): Promise<void> {
  return pause(ms, undefined, { signal });
}

/** The complaint itself names files, and goes to the log alone. */
function inFewWords(complaint: string): string {
  if (complaint === "") return "";
  if (complaint.includes("no space left")) return "the disk of the message store is full";
  if (complaint.includes("its limit is")) return "the message store has reached its limit";
  if (complaint.includes("read-only")) return "the disk of the message store is read-only";
  return "the message store is damaged or cannot be written";
}
