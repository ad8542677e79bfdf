export interface Load {
  readonly messages: number;
  readonly bytes: number;
}

export type GaugeLimits = Load;

/** What is known of a load that others add to, too: the last measure, and what this instance has added since. */
export interface Gauge {
  /**
   * Whether this much more fits. Unsure: a measure is needed to tell, since none was made, or too much may have happened
   * since. Full is never said by an old measure, and never because of what may have been counted twice.
   */
  judge(more: Load): "fits" | "unsure" | "full";
  /** Whether it fits as far as this instance can see. */
  fitsBySight(more: Load): boolean;
  /** Counts what is about to be added. To be let go once that has been done or given up; then it counts as done. */
  reserve(more: Load): () => void;
  /** Resolves with a measure that was begun after the last one ended; callers at the same time share it. */
  measure(): Promise<void>;
}

/** A measure is renewed when it is this old, in milliseconds, and something was added since. */
const maxAgeMs = 1_000;
/** A full load is not measured again within this, in milliseconds. */
const freshMs = 200;
/** This instance may add so much of what is left before it looks again: others may be doing the same … */
const shareOfRoom = 0.25;
/** … or so much of the limit, where that is more. */
const shareOfLimit = 0.05;

const nothing: Load = { messages: 0, bytes: 0 };

export function createGauge(limits: GaugeLimits, read: () => Promise<Load>): Gauge {
  let found = nothing;
  let measuredAt = Number.NEGATIVE_INFINITY;
  let added = nothing;
  /** May be in the next measure or not. */
  let underWay = nothing;
  let running: Promise<void> | undefined;

  const renew = async (): Promise<void> => {
    const before = added;
    added = nothing;
    try {
      found = await read();
      measuredAt = performance.now();
    } catch (error) {
      added = sum(added, before);
      throw error;
    }
  };
  const measure = (): Promise<void> => (running ??= renew().finally(() => (running = undefined)));
  const ageMs = (): number => performance.now() - measuredAt;
  const fits = (load: Load): boolean =>
    load.messages <= limits.messages && load.bytes <= limits.bytes;
  const fitsBySight = (more: Load): boolean => fits(sum(sum(found, more), sum(added, underWay)));

  return {
    judge(more) {
      if (measuredAt === Number.NEGATIVE_INFINITY) return "unsure";
      if (!fits(sum(found, more))) return ageMs() < freshMs ? "full" : "unsure";
      const mine = sum(added, underWay);
      if (!fitsBySight(more) || share(sum(mine, more), allowance(limits, found)) > 1) {
        return "unsure";
      }
      const hasChanged = mine.messages > 0 && ageMs() > maxAgeMs;
      if (hasChanged || share(mine, allowance(limits, found)) > 0.5) {
        // A measure that fails leaves the old one; the next call tries again.
        measure().catch(() => undefined);
      }
      return "fits";
    },
    fitsBySight,
    reserve(more) {
      underWay = sum(underWay, more);
      return () => {
        underWay = sum(underWay, times(more, -1));
        added = sum(added, more);
      };
    },
    measure,
  };
}

/** What this instance may add between two measures. */
function allowance(limits: GaugeLimits, found: Load): Load {
  return {
    messages: Math.max(1, allowed(limits.messages, found.messages)),
    bytes: allowed(limits.bytes, found.bytes),
  };
}

function allowed(limit: number, load: number): number {
  return Math.max(limit * shareOfLimit, (limit - load) * shareOfRoom);
}

/** The larger of the shares that a load takes of what is allowed; a single message always may. */
function share(load: Load, of: Load): number {
  if (load.messages <= 1) return 0;
  return Math.max(load.messages / of.messages, load.bytes / of.bytes);
}

export function times(load: Load, factor: number): Load {
  return { messages: load.messages * factor, bytes: load.bytes * factor };
}

function sum(a: Load, b: Load): Load {
  return { messages: a.messages + b.messages, bytes: a.bytes + b.bytes };
}
