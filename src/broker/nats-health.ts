import { statfs } from "node:fs/promises";
import type { Positions } from "./store-marks.ts";

/** Where a nats-server answers how it is. */
export interface Monitor {
  readonly port: number;
  readonly path: string;
  readonly storeDir: string;
}

/** What a nats-server says of its store. */
export interface StoreHealth {
  /** In the server's own words; empty: nothing is wrong. */
  readonly complaint: string;
  /** Whether a server that is started anew takes writes again, as long as its disk does. */
  readonly isCurable: boolean;
  /** Of the streams whose every message is on the disk before it is acknowledged; none while something is wrong. */
  readonly positions: Positions;
}

/** How much a nats-server stores, and may store. */
export interface StoreFill {
  readonly usedBytes: number;
  readonly maxBytes: number;
}

interface Jsz {
  readonly account_details?: readonly {
    readonly stream_detail?: readonly {
      readonly name: string;
      readonly state: { readonly last_seq: number };
      readonly config: { readonly storage: string; readonly persist_mode?: string };
    }[];
  }[];
}

interface Varz {
  readonly jetstream?: {
    readonly config?: { readonly max_storage?: number };
    readonly stats?: { readonly storage?: number };
  };
}

const answerTimeoutMs = 2_000;
/** A stream that could not be recovered would not be there the next time either. */
const curable = / write error: |JetStream not enabled/i;
/** A new limit must be better by this much to be worth a restart, in bytes. */
const worthwhileBytes = 16 * 1_048_576;

/** Asks whether each stream is there and takes writes, and whether there is room for more; `undefined`: no answer. */
export async function askHealth(
  monitor: Monitor,
  signal?: AbortSignal,
): Promise<StoreHealth | undefined> {
  const ask = asking(monitor, signal);
  try {
    const { error } = (await ask("healthz")) as { readonly error?: string };
    if (error !== undefined) {
      return { complaint: error, isCurable: curable.test(error), positions: {} };
    }
    return await askRoom(ask, monitor);
  } catch {
    // It is ending, frozen or gone, which its supervisor and its clients notice by themselves.
    return undefined;
  }
}

/** What the server stores, and what it may store: by its own limit, or by what is left of its disk. Rejects: no answer. */
export async function askFill(monitor: Monitor, signal?: AbortSignal): Promise<StoreFill> {
  const { usedBytes, maxBytes } = await askUse(asking(monitor, signal));
  const onDiskBytes = usedBytes + (await freeBytes(monitor));
  return { usedBytes, maxBytes: Math.min(maxBytes, onDiskBytes) };
}

/** The server takes three quarters of what is free when it starts, and its own, for the most it stores. */
async function askRoom(ask: Ask, monitor: Monitor): Promise<StoreHealth> {
  const { usedBytes, maxBytes } = await askUse(ask);
  if (usedBytes <= maxBytes) {
    return { complaint: "", isCurable: false, positions: await askPositions(ask) };
  }
  const nextMaxBytes = (((await freeBytes(monitor)) + usedBytes) * 3) / 4;
  return {
    complaint: `the store has ${usedBytes} bytes, its limit is ${maxBytes}`,
    isCurable: nextMaxBytes > usedBytes + worthwhileBytes,
    positions: {},
  };
}

async function askUse(ask: Ask): Promise<StoreFill> {
  const { jetstream } = (await ask("varz")) as Varz;
  return {
    usedBytes: jetstream?.stats?.storage ?? 0,
    maxBytes: jetstream?.config?.max_storage ?? 0,
  };
}

async function freeBytes({ storeDir }: Monitor): Promise<number> {
  const { bavail, bsize } = await statfs(storeDir);
  return bavail * bsize;
}

async function askPositions(ask: Ask): Promise<Positions> {
  const { account_details: accounts = [] } = (await ask("jsz?streams=1&config=1")) as Jsz;
  const streams = accounts.flatMap(({ stream_detail: details = [] }) => details);
  const synced = streams.filter(
    ({ config }) => config.storage === "file" && config.persist_mode !== "async",
  );
  return Object.fromEntries(synced.map(({ name, state }) => [name, state.last_seq]));
}

type Ask = (what: string) => Promise<unknown>;

function asking({ port, path }: Monitor, signal?: AbortSignal): Ask {
  return async (what) => {
    const timeout = AbortSignal.timeout(answerTimeoutMs);
    const answer = await fetch(`http://127.0.0.1:${port}${path}/${what}`, {
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    });
    return answer.json();
  };
}
