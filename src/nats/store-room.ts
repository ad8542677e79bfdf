import type { Logger } from "../telemetry/logger.ts";
import type { Nats } from "./connection.ts";
import { startPeriodic } from "./periodic.ts";

/** How much a store holds, and may hold. */
export interface StoreFill {
  readonly usedBytes: number;
  readonly maxBytes: number;
}

/**
 * Whether the store takes more mail. The last of its space is kept for everything else: where not even the records fit
 * by which mail is settled and goes, nothing would ever make room again.
 */
export interface StoreRoom extends AsyncDisposable {
  isFull(): boolean;
  /** Counts so many bytes of mail as stored; false: they may not be stored now. */
  take(bytes: number): boolean;
}

export interface StoreRoomOptions {
  /** Asked once a second; `undefined`: there is no limit, or none that can be known. Rejects where nobody answers. */
  readonly fill: (signal: AbortSignal) => Promise<StoreFill | undefined>;
  readonly logger: Logger;
}

const intervalMs = 1_000;
/** At this share of what the store may hold no more mail is taken … */
const fullShare = 0.8;
/** … until it is down to this one. */
const freeShare = 0.7;
/** A large message that would take it this far is refused alone. */
const maxShare = 0.9;

export function watchStoreRoom({ fill, logger }: StoreRoomOptions): StoreRoom {
  const stopping = new AbortController();
  let known: StoreFill | undefined;
  /** Counted since the last look. */
  let takenBytes = 0;
  let isFull = false;

  const shareWith = (bytes: number): number =>
    known === undefined ? 0 : (known.usedBytes + takenBytes + bytes) / Math.max(1, known.maxBytes);
  const judge = (): void => {
    const share = shareWith(0);
    if (isFull ? share > freeShare : share < fullShare) return;
    isFull = !isFull;
    if (isFull) logger.warn({ ...known }, "the message store is nearly full: it takes no mail");
    else logger.info({ ...known }, "the message store takes mail again");
  };
  const look = async (): Promise<void> => {
    const takenBefore = takenBytes;
    known = await fill(stopping.signal);
    takenBytes -= takenBefore;
    judge();
  };
  const what = "asking how full the store is";
  const periodic = startPeriodic(look, { intervalMs, what, logger });
  periodic.wake();
  return {
    isFull: () => isFull,
    take(bytes) {
      if (isFull || shareWith(bytes) > maxShare) return false;
      takenBytes += bytes;
      judge();
      return true;
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await periodic[Symbol.asyncDispose]();
    },
  };
}

/**
 * What the account of this connection stores and may store. The limit of the servers themselves is not for everybody to
 * see: where they have less room than the account, it shows when they refuse a message.
 */
export async function accountFill(nats: Nats): Promise<StoreFill | undefined> {
  const replicas = nats.isClustered ? 3 : 1;
  const account = await nats.jsm.getAccountInfo();
  const tier = account.tiers?.[`R${replicas}`];
  const { storage, limits } = tier ?? account;
  if (limits.max_storage <= 0) return undefined;
  // A message counts as often as it is stored; the limit of a tier is for one of each.
  const perCopy = tier === undefined ? replicas : 1;
  return { usedBytes: storage / replicas, maxBytes: limits.max_storage / perCopy };
}
