import { BoundedMap } from "../../domain/bounded-map.ts";
import type { Party, PartyStore } from "../../domain/parties/party.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { followBucket } from "../bucket-follower.ts";
import { openBucket, untilHeld } from "../bucket.ts";
import type { Nats } from "../connection.ts";
import { buckets } from "../subjects.ts";

/** Registrations known in memory; of more, those that were renewed longest ago are not listed any more. */
const maxIndexed = 1_000_000;

/** Registrations, one key a party. Nothing removes them. Each costs about 300 bytes of this instance's memory. */
export function openPartyStore(
  nats: Nats,
  { logger }: { readonly logger: Logger },
): PartyStore & AsyncDisposable {
  const bucket = openBucket<Party>(nats, buckets.parties);
  const parties = new BoundedMap<string, Party>(maxIndexed);
  const follower = followBucket<Party>(nats, {
    bucket: buckets.parties,
    isInMemory: false,
    onEntry: ({ key, value }) => parties.set(key, value),
    onRewind: () => parties.clear(),
    logger,
  });
  return {
    async read(partyId) {
      return (await bucket.get(partyId))?.value;
    },
    upsert: (partyId, change) =>
      untilHeld("registering a party", async () => {
        const known = await bucket.get(partyId);
        const party = change(known?.value);
        const expectRevision = known?.revision ?? 0;
        const revision = await bucket.put(partyId, party, { expectRevision });
        return revision === undefined ? undefined : party;
      }),
    async all() {
      await follower.catchUp();
      return [...parties.values()];
    },
    [Symbol.asyncDispose]: () => follower[Symbol.asyncDispose](),
  };
}
