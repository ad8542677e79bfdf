import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

/** How many messages of a stream have a subject that matches, looked up past the router. */
export async function countStored(
  natsUrl: string,
  { stream, filter }: { readonly stream: string; readonly filter: string },
): Promise<number> {
  const nc = await connect({ servers: natsUrl });
  try {
    const jsm = await jetstreamManager(nc);
    const info = await jsm.streams.info(stream, { subjects_filter: filter });
    return Object.values(info.state.subjects ?? {}).reduce((sum, count) => sum + count, 0);
  } finally {
    await nc.close();
  }
}

/** How many messages each stream has ever taken, but for what lives in memory and for signs of life. */
export async function storedTotals(natsUrl: string): Promise<Readonly<Record<string, number>>> {
  const nc = await connect({ servers: natsUrl });
  try {
    const jsm = await jetstreamManager(nc);
    const totals: Record<string, number> = {};
    for await (const { config, state } of jsm.streams.list()) {
      if (transient.has(config.name)) continue;
      totals[config.name] = config.name === sessions ? state.messages : state.last_seq;
    }
    return totals;
  } finally {
    await nc.close();
  }
}

/** The record of a session is written again, a moment later, when its events are known to be stored. */
const sessions = "KV_mpc_sessions";
/** Presence is written as time goes by, and the owners bucket takes the probe of the readiness. */
const transient = new Set(["KV_mpc_presence", "KV_mpc_owners"]);
