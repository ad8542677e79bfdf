import { brokerUnavailable, RouterError } from "../../domain/errors.ts";
import type { Mailbox } from "../../domain/messages/message.ts";
import { openBucket } from "../bucket.ts";
import type { Nats } from "../connection.ts";
import { buckets } from "../subjects.ts";

/** Who holds the stream of a mailbox; kept after the stream's end, until nothing of the session is kept. */
interface OwnerRecord {
  readonly instanceId: string;
  readonly takenAt: number;
}

interface Takeover {
  readonly box: Mailbox;
  readonly epoch: number;
  readonly instanceId: string;
}

/** Decides which stream of a mailbox is the newest, over all instances. */
export interface Owners {
  /** Takes the mailbox over; resolves with the epoch, which is higher than that of every stream before. */
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
  /** Tells of every mailbox that is taken from now on, by any instance, until the signal. */
  watch(signal: AbortSignal): AsyncIterable<Takeover>;
}

/** Tries to win the compare-and-set against streams that are opened at the same moment. */
const maxTries = 20;

/** A stream that nobody will read must not take the mailbox from one that is read. */
export function requireReader(signal: AbortSignal): void {
  if (signal.aborted) throw new RouterError("SHUTTING_DOWN", "the stream has no reader any more");
}

export function createOwners(nats: Nats, instanceId: string): Owners {
  const bucket = openBucket<OwnerRecord>(nats, buckets.owners);
  const write = (
    box: Mailbox,
    keepUntil: number,
    expectRevision: number,
  ): Promise<number | undefined> => {
    const nowMs = nats.clock.nowMs();
    const value = { instanceId, takenAt: nowMs };
    return bucket.put(keyOf(box), value, { expectRevision, ttlMs: keepUntil - nowMs });
  };
  return {
    async take(box, { keepUntil, signal }) {
      for (let tries = 0; tries < maxTries; tries += 1) {
        const known = await bucket.get(keyOf(box));
        requireReader(signal);
        const epoch = await write(box, keepUntil, known?.revision ?? 0);
        if (epoch !== undefined) return epoch;
      }
      throw brokerUnavailable("taking over a mailbox");
    },
    async renew(box, epoch, keepUntil) {
      const known = await bucket.get(keyOf(box));
      if ((known?.revision ?? 0) > epoch) return undefined;
      return write(box, keepUntil, known?.revision ?? 0);
    },
    async isNewest(box, epoch) {
      const known = await bucket.get(keyOf(box));
      return (known?.revision ?? 0) <= epoch;
    },
    async *watch(signal) {
      for await (const { key, revision, value } of bucket.watch(signal, "updates")) {
        const [partyId = "", sessionId = ""] = key.split(".");
        yield { box: { partyId, sessionId }, epoch: revision, instanceId: value.instanceId };
      }
    },
  };
}

function keyOf(box: Mailbox): string {
  return `${box.partyId}.${box.sessionId}`;
}
