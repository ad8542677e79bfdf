import { BoundedMap } from "../../domain/bounded-map.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { followBucket } from "../bucket-follower.ts";
import type { Nats } from "../connection.ts";
import { buckets } from "../subjects.ts";

/** When all instances together saw a party last, as the presence bucket has it. */
export interface SeenRecord {
  /** Unix milliseconds. */
  readonly at: number;
}

/** What every instance wrote of when it saw parties, in memory. */
export interface Sightings extends AsyncDisposable {
  /** Resolves once everything that was written before the call is known here. */
  catchUp(): Promise<void>;
  /** Unix milliseconds; 0 when unknown or long ago. */
  at(partyId: string): number;
  /** Of the newest value that was heard, so that it can be written over without a look; 0 when unknown. */
  revision(partyId: string): number;
}

interface Sighted {
  readonly at: number;
  revision: number;
}

/** Parties known here, at about 180 bytes each; of more, those that were seen longest ago count as never seen. */
const maxKnown = 1_000_000;
const prefix = "seen.";

export function openSightings(
  nats: Nats,
  { keepMs, logger }: { readonly keepMs: number; readonly logger: Logger },
): Sightings {
  /** In the order in which they were heard. */
  const known = new BoundedMap<string, Sighted>(maxKnown);
  // The bucket forgets by itself, without a word: so each that comes lets go of one that is over.
  const dropOldest = (): void => {
    const [oldest] = known;
    if (oldest !== undefined && nats.clock.nowMs() - oldest[1].at > keepMs) known.delete(oldest[0]);
  };
  const follower = followBucket<SeenRecord>(nats, {
    bucket: buckets.presence,
    isInMemory: true,
    onEntry({ key, value, revision }) {
      if (!key.startsWith(prefix)) return;
      dropOldest();
      const partyId = key.slice(prefix.length);
      // After an interruption an older one may come again.
      known.set(partyId, { at: Math.max(value.at, known.get(partyId)?.at ?? 0), revision });
    },
    // Whoever was seen was seen, whatever the bucket has lost since.
    onRewind() {
      for (const sighted of known.values()) sighted.revision = 0;
    },
    logger,
  });
  return {
    catchUp: () => follower.catchUp(),
    at: (partyId) => known.get(partyId)?.at ?? 0,
    revision: (partyId) => known.get(partyId)?.revision ?? 0,
    [Symbol.asyncDispose]: () => follower[Symbol.asyncDispose](),
  };
}

export function sightingKey(partyId: string): string {
  return `${prefix}${partyId}`;
}
