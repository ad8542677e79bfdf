import { arrivalKey, type Ledger, type Sending } from "../ledger.ts";
import { at } from "./content.ts";

interface Arrival {
  readonly sending: Sending;
  readonly acceptedMs: number;
  readonly place: number;
}

export function* outOfOrder(ledger: Ledger): Generator<string> {
  const lines = new Map<string, { readonly party: string; readonly arrivals: Arrival[] }>();
  for (const sending of ledger.sendings.values()) {
    const { sessionId, from, acceptedMs } = sending;
    if (acceptedMs === undefined) continue;
    for (const party of sending.to) {
      const first = ledger.arrivals.get(arrivalKey({ sessionId, party }, sending.hash));
      const place = first === undefined ? undefined : ledger.place.get(first);
      if (place === undefined) continue;
      const key = `${sessionId}/${from}/${party}`;
      const line = lines.get(key) ?? { party, arrivals: [] };
      lines.set(key, line);
      line.arrivals.push({ sending, acceptedMs, place });
    }
  }
  for (const { party, arrivals } of lines.values()) yield* overtaken(party, arrivals);
}

/** Of calls that were answered before another one began, none may arrive after that one. */
function* overtaken(party: string, arrivals: readonly Arrival[]): Generator<string> {
  const byEnd = arrivals.toSorted((a, b) => a.acceptedMs - b.acceptedMs);
  let ended = 0;
  let last: Arrival | undefined;
  for (const one of arrivals.toSorted((a, b) => a.sending.startMs - b.sending.startMs)) {
    for (let next = byEnd[ended]; next !== undefined; next = byEnd[ended]) {
      if (next.acceptedMs >= one.sending.startMs) break;
      if (last === undefined || next.place > last.place) last = next;
      ended += 1;
    }
    if (last === undefined || last.place < one.place) continue;
    yield `${idOf(last)}, accepted at ${at(last.acceptedMs)}, came to ${party} after ${idOf(one)}, sent at ${at(one.sending.startMs)}`;
  }
}

function idOf({ sending }: Arrival): string {
  return [...sending.answeredIds].join(", ");
}
