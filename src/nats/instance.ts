import { withinBudget } from "../domain/call-budget.ts";
import type { Logger } from "../telemetry/logger.ts";
import { openBucket, type Bucket } from "./bucket.ts";
import type { Nats } from "./connection.ts";
import { startPeriodic } from "./periodic.ts";
import { buckets } from "./subjects.ts";

/** An instance that says nothing for so long counts as dead. The server adds up to a second. */
const aliveMs = 4_000;
const refreshMs = 1_300;
/** Longer than a broker that is well takes to list the few. */
const lookMs = 250;

/** Every live instance has a key that matches. */
export const instanceFilter = "inst.*";

/** This instance's sign of life, which what it keeps in the memory bucket hangs on. */
export interface InstanceLife extends AsyncDisposable {
  readonly id: string;
  /** Whether another instance lives; false where the broker does not say so at once. */
  hasOthers(): Promise<boolean>;
}

/** Resolves when other instances can see this one. `id` is a NATS token, new for every start. */
export async function announceInstance(
  nats: Nats,
  { id, logger }: { readonly id: string; readonly logger: Logger },
): Promise<InstanceLife> {
  const bucket: Bucket<object> = openBucket(nats, buckets.presence);
  const key = `inst.${id}`;
  const announce = async (): Promise<void> => {
    await bucket.put(key, {}, { ttlMs: aliveMs });
  };
  await announce();
  const what = "announcing this instance";
  const periodic = startPeriodic(announce, { intervalMs: refreshMs, what, logger });
  const offReconnect = nats.onReconnect(() => periodic.wake());
  return {
    id,
    async hasOthers() {
      const listing = bucket.list([instanceFilter]);
      const found = await withinBudget("looking for others", listing, lookMs).catch(() => []);
      return found.some((entry) => entry.key !== key);
    },
    async [Symbol.asyncDispose]() {
      offReconnect();
      await periodic[Symbol.asyncDispose]();
      // Without a connection the key dies by its age.
      if (nats.isConnected()) await bucket.remove(key).catch(() => undefined);
    },
  };
}

/** Id of the instance whose key this is. */
export function instanceOfKey(key: string): string | undefined {
  return key.startsWith("inst.") ? key.slice("inst.".length) : undefined;
}
