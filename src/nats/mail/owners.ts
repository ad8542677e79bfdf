import { nuid } from "@nats-io/transport-node";
import { brokerUnavailable, isRouterError, RouterError } from "../../domain/errors.ts";
import type { Mailbox } from "../../domain/messages/message.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { openBucket, type Entry } from "../bucket.ts";
import type { Nats } from "../connection.ts";
import { decodeRecord } from "../json.ts";
import { lastSequence } from "../reading.ts";
import { followStream } from "../stream-follower.ts";
import { buckets } from "../subjects.ts";

/** Who holds the stream of a mailbox; kept after the stream's end, until nothing of the session is kept. */
interface OwnerRecord {
  readonly instanceId: string;
  /** Tells two writes of one instance apart. */
  readonly writeId: string;
  /** Written by the stream that had this epoch: it may not have heard that the write was stored. */
  readonly renewedFrom?: number;
  /** The take-over was given up before its stream began: the mailbox is that of the stream with this epoch, as before. */
  readonly returnedTo?: number;
}

interface Takeover {
  readonly box: Mailbox;
  readonly epoch: number;
  readonly instanceId: string;
}

interface OwnersWatch {
  readonly signal: AbortSignal;
  readonly logger: Logger;
  readonly onStart: () => void;
  readonly onTakeover: (takeover: Takeover) => void;
}

/** Decides which stream of a mailbox is the newest, over all instances. */
export interface Owners {
  /**
   * Takes the mailbox over; resolves with the epoch, which is higher than that of every stream before. Where the reader
   * leaves meanwhile, or the broker does not say what became of it, the mailbox is given back.
   */
  take(
    box: Mailbox,
    options: { readonly keepUntil: number; readonly signal: AbortSignal },
  ): Promise<number>;
  /**
   * Renews the hold of a stream whose consumer is gone: a new, higher epoch; `undefined` when a newer stream has the
   * mailbox.
   */
  renew(box: Mailbox, epoch: number, keepUntil: number): Promise<number | undefined>;
  /** Whether no newer stream has taken the mailbox over. */
  isNewest(box: Mailbox, epoch: number): Promise<boolean>;
  /**
   * Tells of every mailbox that is taken, by any instance, until the signal. What happened before `onStart` was called,
   * or while the broker was away in a way that lost its newest records, is not told.
   */
  watch(options: OwnersWatch): Promise<void>;
}

/** Tries to win the compare-and-set against streams that are opened at the same moment, and against late writes. */
const maxTries = 20;

/** A stream that nobody will read must not take the mailbox from one that is read. */
export function requireReader(signal: AbortSignal): void {
  if (signal.aborted) throw new RouterError("SHUTTING_DOWN", "the stream has no reader any more");
}

export function createOwners(nats: Nats, instanceId: string): Owners {
  const bucket = openBucket<OwnerRecord>(nats, buckets.owners);

  const write = (box: Mailbox, record: OwnerRecord, when: Write): Promise<number | undefined> => {
    const { keepUntil, expectRevision } = when;
    const ttlMs = keepUntil - nats.clock.nowMs();
    return bucket.put(keyOf(box), record, { expectRevision, ttlMs });
  };

  /** Where another stream has taken it meanwhile, there is nothing to give back. */
  const giveBack = async (box: Mailbox, taken: OwnerRecord, when: Returning): Promise<void> => {
    try {
      const known = await bucket.get(keyOf(box));
      if (known?.value.writeId !== taken.writeId) return;
      const { keepUntil, before } = when;
      const record = { ...before, instanceId, writeId: nuid.next() };
      await write(box, record, { keepUntil, expectRevision: known.revision });
    } catch (error) {
      if (!isRouterError(error, "BROKER_UNAVAILABLE")) throw error;
      // An older stream then ends, and its party finds that no newer one is there when it opens one.
    }
  };

  return {
    async take(box, { keepUntil, signal }) {
      for (let tries = 0; tries < maxTries; tries += 1) {
        const known = await bucket.get(keyOf(box));
        requireReader(signal);
        const record = { instanceId, writeId: nuid.next() };
        const returning = { keepUntil, before: heldBefore(known) };
        const expectRevision = known?.revision ?? 0;
        const writing = write(box, record, { keepUntil, expectRevision });
        const epoch = await writing.catch((error: unknown) => {
          void giveBack(box, record, returning);
          throw error;
        });
        if (epoch === undefined) continue;
        if (signal.aborted) void giveBack(box, record, returning);
        requireReader(signal);
        return epoch;
      }
      throw brokerUnavailable("taking over a mailbox");
    },
    async renew(box, epoch, keepUntil) {
      for (let tries = 0; tries < maxTries; tries += 1) {
        const known = await bucket.get(keyOf(box));
        if (!isHeldBy(known, epoch)) return undefined;
        const record = { instanceId, writeId: nuid.next(), renewedFrom: epoch };
        const expectRevision = known?.revision ?? 0;
        const renewed = await write(box, record, { keepUntil, expectRevision });
        // Where it fails, an earlier write of this very stream may have come late: the record tells.
        if (renewed !== undefined) return renewed;
      }
      throw brokerUnavailable("renewing the hold of a mailbox");
    },
    async isNewest(box, epoch) {
      return isHeldBy(await bucket.get(keyOf(box)), epoch);
    },
    watch: (options) => watchBucket(nats, options),
  };
}

interface Write {
  readonly keepUntil: number;
  readonly expectRevision: number;
}

interface Returning {
  readonly keepUntil: number;
  readonly before: Pick<OwnerRecord, "returnedTo" | "renewedFrom">;
}

/** By whom the mailbox is held, as a record says it that gives it back. */
function heldBefore(known: Entry<OwnerRecord> | undefined): Returning["before"] {
  const renewedFrom = known?.value.renewedFrom;
  return {
    returnedTo: newestEpoch(known),
    ...(renewedFrom === undefined ? {} : { renewedFrom }),
  };
}

function newestEpoch(known: Entry<OwnerRecord> | undefined): number {
  return known === undefined ? 0 : (known.value.returnedTo ?? known.revision);
}

function isHeldBy(known: Entry<OwnerRecord> | undefined, epoch: number): boolean {
  return known?.value.renewedFrom === epoch || newestEpoch(known) <= epoch;
}

async function watchBucket(nats: Nats, options: OwnersWatch): Promise<void> {
  const { signal, logger, onTakeover } = options;
  const stream = `KV_${buckets.owners}`;
  let heard = await firstAnswer(() => lastSequence(nats, stream), signal);
  options.onStart();
  await followStream(nats, {
    stream,
    signal,
    logger,
    heard: () => heard,
    onRewind: (last) => void (heard = last),
    onMessage: ({ subject, data, seq }) => {
      heard = seq;
      const [partyId = "", sessionId = ""] = subject.split(".").slice(2);
      const { instanceId } = decodeRecord<OwnerRecord>(data);
      onTakeover({ box: { partyId, sessionId }, epoch: seq, instanceId });
    },
  });
}

/** Asks again while the broker is away; 0 when the signal ends the tries. */
async function firstAnswer(ask: () => Promise<number>, signal: AbortSignal): Promise<number> {
  while (!signal.aborted) {
    try {
      return await ask();
    } catch (error) {
      if (!isRouterError(error, "BROKER_UNAVAILABLE")) throw error;
    }
  }
  return 0;
}

function keyOf(box: Mailbox): string {
  return `${box.partyId}.${box.sessionId}`;
}
