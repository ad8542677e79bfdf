import { brokerUnavailable } from "../../domain/errors.ts";
import type { Party, PartyStore } from "../../domain/parties/party.ts";
import { openBucket, type Bucket, type Entry } from "../bucket.ts";
import type { Nats } from "../connection.ts";
import { buckets } from "../subjects.ts";

/** How often a listing is asked for again, 25 ms apart, until it holds what the leader says is there. */
const listingTries = 40;

/** Registrations, one key a party. Nothing removes them, so the newest write of the bucket is always in its listing. */
export function openPartyStore(nats: Nats): PartyStore {
  const bucket = openBucket<Party>(nats, buckets.parties);
  return {
    async read(partyId) {
      return (await bucket.get(partyId))?.value;
    },
    async upsert(partyId, change) {
      for (;;) {
        const known = await bucket.get(partyId);
        const party = change(known?.value);
        const expectRevision = known?.revision ?? 0;
        if ((await bucket.put(partyId, party, { expectRevision })) !== undefined) return party;
      }
    },
    async all() {
      const entries = nats.isClustered ? await listAll(bucket) : await bucket.list([">"]);
      return entries.map((entry) => entry.value);
    },
  };
}

/** A listing may be answered by a replica that is a moment behind the leader. */
async function listAll(bucket: Bucket<Party>): Promise<readonly Entry<Party>[]> {
  const newest = await bucket.lastRevision();
  for (let tries = 0; tries < listingTries; tries += 1) {
    const entries = await bucket.list([">"]);
    if ((entries.at(-1)?.revision ?? 0) >= newest) return entries;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw brokerUnavailable("listing parties");
}
