import { arrivalKey, boxKey, ledgerOf, ofKind, type Ledger } from "../audit/ledger.ts";
import type { Delivery, Fault, Stream } from "../audit/record.ts";
import type { AuditResult } from "./run-audit.ts";

/** A gap that began this long before a fault belongs to it: messages are not sent without a pause. */
const beforeMs = 500;

/** What begins so long after a fault has other causes. */
const afterMs = 15_000;

/**
 * The longest time that a live subscriber at such a fault was without a delivery though somebody was sending to it, in
 * milliseconds.
 */
export function longestGapMs(result: AuditResult, what: string): number {
  const boxes = plainBoxes(result, ofKind(result.entries, "delivery"));
  const ledger = ledgerOf(result.entries);
  return longest(result, what, (isAtFault) =>
    [...boxes.values()].flatMap((deliveries) => {
      const waitingSince = waitingSinceMs(ledger, deliveries);
      return deliveries.slice(1).map(({ atMs }, index) => {
        const previousMs = deliveries[index]?.atMs ?? atMs;
        const sinceMs = Math.max(previousMs, waitingSince[index + 1] ?? previousMs);
        return isAtFault(previousMs) ? atMs - sinceMs : 0;
      });
    }),
  );
}

/** For each delivery of a box, when the oldest of the messages that came then or later was first sent. */
function waitingSinceMs(
  { arrivals, sendings }: Ledger,
  deliveries: readonly Delivery[],
): readonly number[] {
  let oldestMs = Infinity;
  const found = deliveries.toReversed().map((delivery) => {
    const isArrival = arrivals.get(arrivalKey(delivery, delivery.hash)) === delivery;
    const sentMs = isArrival ? sendings.get(delivery.hash)?.startMs : undefined;
    oldestMs = Math.min(oldestMs, sentMs ?? Infinity);
    return oldestMs;
  });
  return found.toReversed();
}

/** The longest time from the end of a stream to when the next one of its party was open, at such a fault. */
export function longestReconnectMs(result: AuditResult, what: string): number {
  const boxes = plainBoxes(result, ofKind(result.entries, "stream"));
  return longest(result, what, (isAtFault) =>
    [...boxes.values()].flatMap((streams) =>
      streams.map(({ openMs, endMs }, index) => {
        if (openMs === undefined || !isAtFault(endMs)) return 0;
        const next = streams.slice(index + 1).find((stream) => stream.openMs !== undefined);
        return next?.openMs === undefined ? 0 : next.openMs - endMs;
      }),
    ),
  );
}

function plainBoxes<T extends Delivery | Stream>(
  { plainSessions }: AuditResult,
  entries: readonly T[],
): ReadonlyMap<string, readonly T[]> {
  const plain = entries.filter(({ sessionId }) => plainSessions.has(sessionId));
  return Map.groupBy(plain, boxKey);
}

/** The largest of what is measured, of that which began at such a fault. */
function longest(
  { entries }: AuditResult,
  what: string,
  measure: (isAtFault: (ms: number) => boolean) => readonly number[],
): number {
  const faults = ofKind(entries, "fault");
  const isAtFault = (ms: number): boolean => {
    const last: Fault | undefined = faults.findLast(({ startMs }) => startMs - beforeMs <= ms);
    return last?.what === what && ms <= last.endMs + afterMs;
  };
  return Math.round(Math.max(0, ...measure(isAtFault)));
}
