import { arrivalKey, boxKey, type Ledger, type Sending } from "../ledger.ts";
import { at } from "./content.ts";

/** A stream that gives nothing for so long while a message waits has failed; longer than the election of a leader. */
const silentMs = 12_000;

export function* lost(ledger: Ledger): Generator<string> {
  for (const { sending, party, acceptedMs } of acceptedCopies(ledger)) {
    if (ledger.arrivals.has(arrivalKey({ ...sending, party }, sending.hash))) continue;
    const ids = [...sending.answeredIds].join(", ");
    yield `${ids} of ${sending.from}, accepted at ${at(acceptedMs)}, never came to ${party}`;
  }
}

export function* silent(ledger: Ledger): Generator<string> {
  for (const { sending, party, acceptedMs } of acceptedCopies(ledger)) {
    const box = { sessionId: sending.sessionId, party };
    const arrivedMs = ledger.arrivals.get(arrivalKey(box, sending.hash))?.atMs ?? Infinity;
    for (const { openMs, endMs } of ledger.streams.get(boxKey(box)) ?? []) {
      if (openMs === undefined) continue;
      const fromMs = Math.max(openMs, acceptedMs);
      const dueMs = fromMs + silentMs + disturbedMs(ledger, { fromMs, untilMs: endMs });
      if (dueMs > Math.min(arrivedMs, endMs)) continue;
      const ids = [...sending.answeredIds].join(", ");
      yield `${ids} was kept from ${party}, whose stream was open from ${at(openMs)} to ${at(endMs)}`;
    }
  }
}

interface AcceptedCopy {
  readonly sending: Sending;
  readonly party: string;
  readonly acceptedMs: number;
}

function* acceptedCopies({ sendings }: Ledger): Generator<AcceptedCopy> {
  for (const sending of sendings.values()) {
    const { acceptedMs } = sending;
    if (acceptedMs === undefined) continue;
    for (const party of sending.to) yield { sending, party, acceptedMs };
  }
}

/** How long something was paused or away in that time: nobody can deliver then. */
function disturbedMs(
  { faults }: Ledger,
  { fromMs, untilMs }: { readonly fromMs: number; readonly untilMs: number },
): number {
  return faults.reduce((sum, { startMs, endMs }) => {
    return sum + Math.max(0, Math.min(endMs, untilMs) - Math.max(startMs, fromMs));
  }, 0);
}
