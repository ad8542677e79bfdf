/** How much longer things may take where other tests share the machine; beyond that it is a fault of ours. */
const factor = 3;

/** The most that something may take in the suite, in milliseconds, that is promised within `promisedMs` on an idle machine. */
export function crowded(promisedMs: number): number {
  return factor * promisedMs;
}
