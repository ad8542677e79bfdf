import { setTimeout as delay } from "node:timers/promises";

export interface Pace {
  readonly perSecond: number;
  readonly seconds: number;
  /** With so many under way none is begun; it is made up for later. */
  readonly maxUnderWay: number;
}

/** Work is begun in steps of this length, in milliseconds. */
const stepMs = 4;

/**
 * Begins work at an even pace, whatever the work takes: a slow answer must not slow down the load, or it would hide how
 * slow the others have become. Resolves when all has ended, with the number of those begun; rejects if one failed.
 */
export async function steadily(
  pace: Pace,
  work: (index: number) => Promise<void>,
): Promise<number> {
  const startedAt = performance.now();
  const endsAt = startedAt + pace.seconds * 1_000;
  const underWay = new Set<Promise<void>>();
  const failures: unknown[] = [];
  let begun = 0;
  const begin = (): void => {
    const running: Promise<void> = work(begun)
      .catch((error: unknown) => void failures.push(error))
      .finally(() => underWay.delete(running));
    underWay.add(running);
    begun += 1;
  };
  while (performance.now() < endsAt && failures.length === 0) {
    const due = Math.ceil(((performance.now() - startedAt) / 1_000) * pace.perSecond) - begun;
    const room = pace.maxUnderWay - underWay.size;
    for (let count = Math.min(due, room); count > 0; count -= 1) begin();
    await delay(stepMs);
  }
  await Promise.all(underWay);
  if (failures.length > 0) throw failures[0];
  return begun;
}

/** Does this for every item, so many at once. */
export async function forEach<T>(
  items: Iterable<T>,
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (let next = rest.next(); next.done !== true; next = rest.next()) await work(next.value);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
