import type { Acknowledgement, Delivery, Entry, Fault, Route, Span, Stream } from "./record.ts";

/** What was acknowledged in this time before an unreplicated broker was killed may be forgotten. */
const lostBeforeKillMs = 100;

/** All attempts to send one content. */
export interface Sending {
  readonly hash: string;
  readonly sessionId: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly startMs: number;
  /** When it was first answered OK; `undefined`: never. */
  readonly acceptedMs: number | undefined;
  /** Every id that an answer gave it. */
  readonly answeredIds: ReadonlySet<string>;
}

/** A message as one party has it. */
export interface CopyId {
  readonly sessionId: string;
  readonly party: string;
  readonly messageId: string;
}

/** The record, put in order for the rules. */
export interface Ledger {
  readonly entries: readonly Entry[];
  readonly sendings: ReadonlyMap<string, Sending>;
  /** By {@link copyKey}, in the order they came. */
  readonly deliveries: ReadonlyMap<string, readonly Delivery[]>;
  /** By {@link copyKey}, whatever became of the calls. */
  readonly acknowledgements: ReadonlyMap<string, readonly Acknowledgement[]>;
  /** By {@link boxKey}. */
  readonly streams: ReadonlyMap<string, readonly Stream[]>;
  /** Place of a delivery among all, for those that came in one answer. */
  readonly place: ReadonlyMap<Delivery, number>;
  /** By {@link arrivalKey}: when a content first came to a party. */
  readonly arrivals: ReadonlyMap<string, Delivery>;
  readonly faults: readonly Fault[];
  /** Whether what was told in that time may be forgotten since. */
  mayBeForgotten(told: Span): boolean;
}

export function copyKey({ sessionId, party, messageId }: CopyId): string {
  return `${sessionId}/${party}/${messageId}`;
}

export function boxKey({ sessionId, party }: Pick<CopyId, "sessionId" | "party">): string {
  return `${sessionId}/${party}`;
}

export function arrivalKey(box: Pick<CopyId, "sessionId" | "party">, hash: string): string {
  return `${boxKey(box)}/${hash}`;
}

export function ledgerOf(entries: readonly Entry[]): Ledger {
  const deliveries = ofKind(entries, "delivery");
  const faults = ofKind(entries, "fault");
  const arrivals = new Map<string, Delivery>();
  for (const delivery of deliveries) {
    const key = arrivalKey(delivery, delivery.hash);
    if (!arrivals.has(key)) arrivals.set(key, delivery);
  }
  return {
    entries,
    sendings: sendingsOf(ofKind(entries, "route")),
    deliveries: Map.groupBy(deliveries, copyKey),
    acknowledgements: Map.groupBy(ofKind(entries, "acknowledgement"), copyKey),
    streams: Map.groupBy(ofKind(entries, "stream"), boxKey),
    place: new Map(deliveries.map((delivery, index) => [delivery, index])),
    arrivals,
    faults,
    mayBeForgotten: (told) =>
      faults.some(
        ({ losesNewest, startMs, endMs }) =>
          losesNewest && told.endMs >= startMs - lostBeforeKillMs && told.startMs <= endMs,
      ),
  };
}

export function ofKind<K extends Entry["kind"]>(
  entries: readonly Entry[],
  kind: K,
): readonly Extract<Entry, { kind: K }>[] {
  return entries.filter((entry): entry is Extract<Entry, { kind: K }> => entry.kind === kind);
}

function sendingsOf(routes: readonly Route[]): ReadonlyMap<string, Sending> {
  const sendings = new Map<string, Sending>();
  for (const [hash, attempts] of Map.groupBy(routes, (route) => route.hash)) {
    const [first] = attempts;
    if (first === undefined) continue;
    const accepted = attempts.filter(({ end }) => end.outcome === "ok");
    sendings.set(hash, {
      hash,
      sessionId: first.sessionId,
      from: first.from,
      to: first.to,
      startMs: Math.min(...attempts.map(({ startMs }) => startMs)),
      acceptedMs:
        accepted.length === 0 ? undefined : Math.min(...accepted.map(({ endMs }) => endMs)),
      answeredIds: new Set(accepted.map(({ messageId }) => messageId)),
    });
  }
  return sendings;
}
