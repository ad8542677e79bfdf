import {
  DiscardPolicy,
  PersistMode,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import { isRouterError } from "../domain/errors.ts";
import type { Nats } from "./connection.ts";
import { isStreamMissing } from "./errors.ts";
import { buckets, streams, subjects } from "./subjects.ts";

/** How long the server remembers a message id, in milliseconds: longer than any call's budget. */
const duplicateWindowMs = 30_000;

/** A cluster that has just started needs a while until it has leaders and can place streams, in milliseconds. */
const placementMs = 15_000;
/** To make a stream of three replicas takes longer than other calls. */
const placementRepeatMs = 2_000;

type Config = Partial<StreamConfig> & { readonly name: string };

/**
 * Makes every stream and bucket that is missing, and brings the others up to date. Safe to run on every instance. What
 * it throws says in a few words what this NATS lacks.
 */
export async function provision(nats: Nats): Promise<void> {
  // A member of a cluster may be without, as long as others have it.
  if (!nats.isClustered && nats.nc.info?.jetstream !== true) {
    throw new Error("JetStream is not enabled");
  }
  const replicas = nats.isClustered ? 3 : 1;
  for (const config of layout(replicas)) await ensureStream(nats, config);
}

/** All streams, a key-value bucket being a stream of its own. */
function layout(replicas: number): readonly Config[] {
  const file = { storage: StorageType.File, num_replicas: replicas };
  const common = {
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.New,
    allow_direct: true,
    allow_msg_ttl: true,
    duplicate_window: nanos(duplicateWindowMs),
  };
  return [
    {
      ...common,
      ...file,
      name: streams.messages,
      subjects: [subjects.allMessages],
      // The server's own default is 1,000; a consumer is needed per open message stream.
      max_consumers: 100_000,
    },
    {
      ...common,
      ...file,
      name: streams.deliveries,
      subjects: [subjects.allDeliveries],
      max_msgs_per_subject: 1,
      // Losing the last milliseconds of records means one more delivery, which at-least-once allows; a replicated
      // stream has no such mode.
      ...(replicas === 1 ? { persist_mode: PersistMode.Async } : {}),
    },
    { ...common, ...file, name: streams.events, subjects: [subjects.allEvents] },
    // Old values are erased one by one, so the stream must not drop them by itself.
    { ...common, ...file, name: streams.secrets, subjects: [subjects.allSecrets] },
    bucket(buckets.sessions, file),
    bucket(buckets.keys, file),
    bucket(buckets.parties, file),
    bucket(buckets.owners, file),
    bucket(buckets.presence, { storage: StorageType.Memory, num_replicas: replicas }),
  ];
}

/** A bucket as the client library lays it out, but with TTLs per key and answers from the leader only. */
function bucket(
  name: string,
  where: { readonly storage: StorageType; readonly num_replicas: number },
): Config {
  return {
    ...where,
    name: `KV_${name}`,
    subjects: [`$KV.${name}.>`],
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.New,
    max_msgs_per_subject: 1,
    allow_rollup_hdrs: true,
    deny_delete: false,
    allow_direct: true,
    allow_msg_ttl: true,
    duplicate_window: nanos(duplicateWindowMs),
  };
}

async function ensureStream(nats: Nats, config: Config): Promise<void> {
  const what = `making stream ${config.name}`;
  const making = nats.attempt(
    what,
    async () => {
      const known = await existing(nats, config.name);
      if (known === undefined) await nats.jsm.streams.add(config);
      else if (differs(known, config))
        await nats.jsm.streams.update(config.name, { ...known, ...changeable(config) });
    },
    { budgetMs: placementMs, repeatMs: placementRepeatMs },
  );
  try {
    await making;
  } catch (error) {
    if (!isRouterError(error, "BROKER_UNAVAILABLE")) throw error;
    // Such as that there are not three servers: for whoever set the cluster up.
    const why = error.cause instanceof Error ? error.cause.message : "no answer";
    throw new Error(`${what}: ${why}`, { cause: error });
  }
}

/** Asked by name: a list waits for every stream of a cluster, those without a leader included. */
async function existing(nats: Nats, name: string): Promise<StreamConfig | undefined> {
  try {
    return (await nats.jsm.streams.info(name)).config;
  } catch (error) {
    if (isStreamMissing(error)) return undefined;
    throw error;
  }
}

/** What cannot be changed of a stream that exists stays as it is: where it is stored, and in how many copies. */
function changeable(wanted: Config): Config {
  const { num_replicas: _copies, persist_mode: _mode, storage: _storage, ...rest } = wanted;
  return rest;
}

function differs(known: StreamConfig, wanted: Config): boolean {
  const current = known as unknown as Record<string, unknown>;
  return Object.entries(changeable(wanted)).some(
    ([key, value]) => JSON.stringify(current[key]) !== JSON.stringify(value),
  );
}
