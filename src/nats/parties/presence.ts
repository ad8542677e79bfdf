import type { Presence } from "../../domain/parties/party.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { openBucket, type Bucket } from "../bucket.ts";
import type { Nats } from "../connection.ts";
import { startPeriodic } from "../periodic.ts";
import { buckets } from "../subjects.ts";
import { openSightings, sightingKey, type SeenRecord, type Sightings } from "./sightings.ts";

/** How long a last sign of life is remembered. */
const keepMs = 24 * 3_600_000;
/** Parties remembered here at a time; a sign of life of one more is written at once, each time. */
const maxRemembered = 100_000;
const parallelWrites = 64;
const writeTries = 8;

export interface PresenceOptions {
  /** Time without a sign of life after which a party is offline, in milliseconds. */
  readonly presenceTimeoutMs: number;
  readonly logger: Logger;
}

/** What this instance knows of one party. */
interface Sighting {
  /** Newest sign of life here. */
  at: number;
  /** Newest one that other instances can see. */
  writtenAt: number;
  /** Of the value written last; 0 when none. */
  revision: number;
  writing: Promise<void> | undefined;
}

/**
 * Keeps in the memory bucket when each party was seen. A sign of life that follows another within a quarter of the
 * presence time is written late, but within that quarter: so other instances judge "online" exactly, and a party that
 * is seen all the time costs few writes.
 */
export function openPresence(
  nats: Nats,
  { presenceTimeoutMs, logger }: PresenceOptions,
): Presence & AsyncDisposable {
  const bucket = openBucket<SeenRecord>(nats, buckets.presence);
  const everywhere = openSightings(nats, { keepMs, logger });
  const sightings = new Map<string, Sighting>();
  const quarterMs = presenceTimeoutMs / 4;
  const sweepMs = quarterMs / 4;

  const write = (partyId: string, sighting: Sighting): Promise<void> =>
    (sighting.writing ??= raise({ bucket, everywhere }, partyId, sighting).finally(() => {
      sighting.writing = undefined;
    }));
  const sweep = async (): Promise<void> => {
    const now = nats.clock.nowMs();
    const due: [string, Sighting][] = [];
    for (const [partyId, sighting] of sightings) {
      if (sighting.at > sighting.writtenAt) {
        if (now - sighting.writtenAt >= quarterMs - sweepMs) due.push([partyId, sighting]);
      } else if (now - sighting.at > presenceTimeoutMs) sightings.delete(partyId);
    }
    for (let done = 0; done < due.length; done += parallelWrites) {
      const some = due.slice(done, done + parallelWrites);
      await Promise.all(some.map(([partyId, sighting]) => write(partyId, sighting)));
    }
  };
  const what = "writing when parties were seen";
  const periodic = startPeriodic(sweep, { intervalMs: sweepMs, what, logger });
  // A memory bucket is empty after its server was started again.
  const offReconnect = nats.onReconnect(() => {
    for (const sighting of sightings.values()) {
      sighting.writtenAt = 0;
      sighting.revision = 0;
    }
    periodic.wake();
  });
  return {
    async seen(partyId) {
      const now = nats.clock.nowMs();
      const sighting = sightings.get(partyId) ?? newSighting();
      if (sightings.size < maxRemembered) sightings.set(partyId, sighting);
      sighting.at = Math.max(sighting.at, now);
      if (now - sighting.writtenAt > quarterMs) await write(partyId, sighting);
    },
    async lastSeenAt(partyIds) {
      await everywhere.catchUp();
      return new Map(
        partyIds.map((partyId) => [
          partyId,
          Math.max(everywhere.at(partyId), sightings.get(partyId)?.at ?? 0),
        ]),
      );
    },
    async [Symbol.asyncDispose]() {
      offReconnect();
      await everywhere[Symbol.asyncDispose]();
      await periodic[Symbol.asyncDispose]();
      // The last signs of life, so that a restart of this instance makes nobody offline.
      if (nats.isConnected()) {
        for (const sighting of sightings.values()) {
          if (sighting.at > sighting.writtenAt) sighting.writtenAt = 0;
        }
        await sweep().catch(() => undefined);
      }
    },
  };
}

function newSighting(): Sighting {
  return { at: 0, writtenAt: 0, revision: 0, writing: undefined };
}

interface Places {
  readonly bucket: Bucket<SeenRecord>;
  readonly everywhere: Sightings;
}

/** Writes the sighting unless another instance has written a newer one: the stored value never goes back. */
async function raise(
  { bucket, everywhere }: Places,
  partyId: string,
  sighting: Sighting,
): Promise<void> {
  const { at } = sighting;
  // What was heard from others spares a look, unless theirs is the newer one.
  const isNewest = everywhere.at(partyId) < at;
  let expectRevision = Math.max(sighting.revision, isNewest ? everywhere.revision(partyId) : 0);
  for (let tries = 0; tries < writeTries; tries += 1) {
    const options = { expectRevision, ttlMs: keepMs };
    const revision = await bucket.put(sightingKey(partyId), { at }, options);
    if (revision !== undefined) {
      sighting.revision = revision;
      sighting.writtenAt = at;
      return;
    }
    const known = await bucket.get(sightingKey(partyId));
    expectRevision = known?.revision ?? 0;
    if (known !== undefined && known.value.at >= at) {
      sighting.revision = known.revision;
      sighting.writtenAt = known.value.at;
      return;
    }
  }
}
