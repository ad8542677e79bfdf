import { abortedBy } from "./party-error.ts";

const firstPauseMs = 100;
const longestPauseMs = 5_000;

/** Waits; rejects as soon as the signal fires. Leaves neither timer nor listener. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(abortedBy(signal));
      return;
    }
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(abortedBy(signal));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal.addEventListener("abort", onAbort, { once: true });
  });
}

/** Waits 100 ms to 5 s, longer with each attempt (from 0), at random so that parties do not come back in step. */
export function backOff(attempt: number, signal: AbortSignal): Promise<void> {
  const most = Math.min(longestPauseMs, 2 * firstPauseMs * 2 ** Math.min(attempt, 10));
  return pause(firstPauseMs + Math.random() * (most - firstPauseMs), signal);
}

/** The promise, or the signal's end, whichever is first. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(abortedBy(signal));
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

/** One signal of several, some of which may not be there. */
export function either(...signals: readonly (AbortSignal | undefined)[]): AbortSignal {
  const [first, ...others] = signals.filter((signal) => signal !== undefined);
  if (first === undefined) return new AbortController().signal;
  return others.length === 0 ? first : AbortSignal.any([first, ...others]);
}
