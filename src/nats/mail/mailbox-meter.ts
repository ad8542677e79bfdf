import { BoundedMap } from "../../domain/bounded-map.ts";
import type { MailboxMeter } from "../../domain/messages/message-ports.ts";
import type { Mailbox } from "../../domain/messages/message.ts";
import type { Nats } from "../connection.ts";
import { measureMailbox } from "./mailbox-size.ts";
import { streams } from "../subjects.ts";

export interface MailboxMeterOptions {
  readonly nats: Nats;
  /** Unacknowledged messages a party may have in a session. */
  readonly maxMessages: number;
  /** Unacknowledged bytes a party may have in a session. */
  readonly maxBytes: number;
}

interface Load {
  readonly messages: number;
  readonly bytes: number;
}

/** A measure is renewed when it is this old, in milliseconds, and something was added since … */
const maxAgeMs = 1_000;
/** … or when this share of a limit was added since. */
const maxGrowth = 0.05;
/** A full mailbox is not measured again within this, in milliseconds. */
const freshMs = 200;
/** Mailboxes measured by themselves at once; the longest known is forgotten first. */
const maxMailboxes = 50_000;

/**
 * While all mail together is within the limits of one mailbox, no mailbox is looked at: one small read a second is
 * enough. Only beyond that is each mailbox measured by itself, and never refused by an old measure.
 */
export function createMailboxMeter(options: MailboxMeterOptions): MailboxMeter {
  const { nats, maxMessages, maxBytes } = options;
  const boxes = new BoundedMap<string, Measured>(maxMailboxes);
  const all = createMeasured(async () => {
    const { state } = await nats.attempt("measuring", () =>
      nats.jsm.streams.info(streams.messages),
    );
    return { messages: state.messages, bytes: state.bytes };
  });
  const fits = (load: Load, bytes: number): boolean =>
    load.messages + 1 <= maxMessages && load.bytes + bytes <= maxBytes;
  const isStale = (measured: Measured): boolean => {
    const added = measured.added();
    const hasGrown = added.messages > maxMessages * maxGrowth || added.bytes > maxBytes * maxGrowth;
    return hasGrown || (added.messages > 0 && measured.ageMs() > maxAgeMs);
  };

  const measuredBox = (box: Mailbox): Measured => {
    const key = `${box.partyId}.${box.sessionId}`;
    const known = boxes.get(key);
    if (known !== undefined) return known;
    const fresh = createMeasured(() => measureMailbox(nats, box));
    boxes.set(key, fresh);
    return fresh;
  };

  const isFull = async (box: Mailbox, bytes: number): Promise<boolean> => {
    const measured = measuredBox(box);
    const isKnown = Number.isFinite(measured.ageMs());
    if (isKnown && fits(measured.estimate(), bytes)) {
      if (isStale(measured)) measured.measureSoon();
      return false;
    }
    if (measured.ageMs() < freshMs && !fits(measured.measured(), bytes)) return true;
    return !fits(await measured.measure(), bytes);
  };

  return {
    async firstFull(targets, bytes) {
      if (!Number.isFinite(all.ageMs())) await all.measure();
      else if (isStale(all)) all.measureSoon();
      const { messages, bytes: stored } = all.estimate();
      const total = { messages: messages + targets.length, bytes: stored };
      if (fits(total, bytes * targets.length)) return undefined;
      for (const box of targets) if (await isFull(box, bytes)) return box;
      return undefined;
    },
    added(targets, bytes) {
      all.add(targets.length, bytes * targets.length);
      for (const { partyId, sessionId } of targets) {
        boxes.get(`${partyId}.${sessionId}`)?.add(1, bytes);
      }
    },
  };
}

interface Measured {
  /** What the last measure found. */
  measured(): Load;
  /** Time since the last measure, in milliseconds; infinite before the first. */
  ageMs(): number;
  /** What was added since the last measure began. */
  added(): Load;
  /** Never less than there is, as far as this instance can know. */
  estimate(): Load;
  add(messages: number, bytes: number): void;
  measure(): Promise<Load>;
  measureSoon(): void;
}

const nothing: Load = { messages: 0, bytes: 0 };

function createMeasured(read: () => Promise<Load>): Measured {
  let found = nothing;
  let measuredAt = Number.NEGATIVE_INFINITY;
  let added = nothing;
  let running: Promise<Load> | undefined;
  const renew = async (): Promise<Load> => {
    added = nothing;
    found = await read();
    measuredAt = performance.now();
    return found;
  };
  const measure = (): Promise<Load> => (running ??= renew().finally(() => (running = undefined)));
  return {
    measured: () => found,
    ageMs: () => performance.now() - measuredAt,
    added: () => added,
    estimate: () => sum(found, added),
    add: (messages, bytes) => void (added = sum(added, { messages, bytes })),
    measure,
    measureSoon() {
      // A measure that fails leaves the old one; the next call tries again.
      measure().catch(() => undefined);
    },
  };
}

function sum(a: Load, b: Load): Load {
  return { messages: a.messages + b.messages, bytes: a.bytes + b.bytes };
}
