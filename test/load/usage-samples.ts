import { setTimeout as delay } from "node:timers/promises";
import type { Rig, RigUsage } from "./rig.ts";
import { slope } from "./statistics.ts";

export interface Sample extends RigUsage {
  readonly atMs: number;
}

/** Looks at the processes again and again; `stop` resolves with all that was seen. */
export function startSampling(
  rig: Pick<Rig, "usage">,
  everyMs: number,
): { stop(): Promise<readonly Sample[]> } {
  const stopping = new AbortController();
  const sampling = (async () => {
    const samples: Sample[] = [];
    while (!stopping.signal.aborted) {
      samples.push({ atMs: performance.now(), ...(await rig.usage()) });
      // Aborted, it ends at once, which is all there is to it.
      await delay(everyMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
    return samples;
  })();
  return {
    stop() {
      stopping.abort();
      return sampling;
    },
  };
}

/** In the first half caches fill and compilers work. */
export function secondHalf(samples: readonly Sample[]): readonly Sample[] {
  return samples.slice(Math.floor(samples.length / 2));
}

export function growthOf(samples: readonly Sample[], valueOf: (sample: Sample) => number): number {
  const half = secondHalf(samples);
  return slope(half.map((sample) => ({ x: sample.atMs / 60_000, y: valueOf(sample) })));
}

export type Process = "router" | "nats";

/** In bytes a minute. */
export function memoryGrowth(samples: readonly Sample[], who: Process): number {
  return growthOf(samples, (sample) => sample[who].residentBytes);
}

export function cores(samples: readonly Sample[], who: Process): number {
  const [first, last] = [secondHalf(samples)[0], samples.at(-1)];
  if (first === undefined || last === undefined) return Number.NaN;
  return (last[who].cpuSeconds - first[who].cpuSeconds) / ((last.atMs - first.atMs) / 1_000);
}
