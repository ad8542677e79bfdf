import { copyKey, ofKind, type Ledger } from "../ledger.ts";
import { at } from "./content.ts";

/** How long a message that was on its way when it was settled may take to arrive on a stream of before. */
const onItsWayMs = 1_000;

/**
 * A poll or a stream that was called after a message was settled does not bring it. A stream of before may, where it was
 * on its way.
 */
export function* deliveredAgain(ledger: Ledger): Generator<string> {
  const settled = settledMs(ledger);
  for (const delivery of ofKind(ledger.entries, "delivery")) {
    const { party, messageId, way, calledMs, atMs } = delivery;
    const sinceMs = settled.get(copyKey(delivery));
    if (sinceMs === undefined || atMs <= sinceMs) continue;
    const isLate = way === "stream" && atMs > sinceMs + onItsWayMs && !isHeldUp(ledger, delivery);
    if (calledMs <= sinceMs && !isLate) continue;
    yield `${messageId}, settled by ${party} at ${at(sinceMs)}, came again at ${at(atMs)} by ${way} called at ${at(calledMs)}`;
  }
}

/** When each copy was first known to be settled, for good. */
function settledMs(ledger: Ledger): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  const note = (key: string, ms: number): void => {
    found.set(key, Math.min(found.get(key) ?? Infinity, ms));
  };
  for (const entry of ledger.entries) {
    if (entry.kind !== "acknowledgement" && entry.kind !== "status") continue;
    if (entry.end.outcome !== "ok" || ledger.mayBeForgotten(entry)) continue;
    if (entry.kind === "acknowledgement") {
      if (entry.verdict === "processed") note(copyKey(entry), entry.endMs);
      continue;
    }
    for (const { party, status } of entry.rows) {
      const isSettled = status === "acknowledged" || status === "failed";
      if (isSettled) note(copyKey({ ...entry, party }), entry.endMs);
    }
  }
  return found;
}

/** It left before a process was paused, which then stood between. */
function isHeldUp(
  { faults }: Ledger,
  { calledMs, atMs }: { calledMs: number; atMs: number },
): boolean {
  return faults.some(
    ({ what, startMs, endMs }) =>
      what.includes("paused") &&
      startMs >= calledMs &&
      atMs >= startMs &&
      atMs <= endMs + onItsWayMs,
  );
}
