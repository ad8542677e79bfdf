import { boxKey, copyKey, ofKind, type Ledger } from "../ledger.ts";
import type { Span, StatusReading } from "../record.ts";
import { at } from "./content.ts";

/** As the routers of these tests are set, which is the default. */
const maxRefusals = 5;

const ranks: ReadonlyMap<string, number> = new Map([
  ["pending", 0],
  ["delivered", 1],
  ["failed", 2],
  ["acknowledged", 3],
]);

interface Row {
  readonly reading: StatusReading;
  readonly party: string;
  readonly status: string;
}

export function* overclaimed(ledger: Ledger): Generator<string> {
  const calledMs = firstCalls(ledger);
  for (const row of rowsOf(ledger)) {
    const { reading, party, status } = row;
    const said = `${reading.messageId} read ${status} for ${party} at ${at(reading.endMs)}`;
    if (!ranks.has(status)) yield `${said}, which is no status`;
    else if (status === "acknowledged" && verdictsBefore(ledger, row, "processed") === 0) {
      yield `${said}, and nobody had acknowledged it`;
    } else if (status === "failed" && !mayHaveFailed(ledger, row)) {
      yield `${said}, and it had not been refused so often`;
    } else if (status === "delivered") {
      const first = calledMs.get(boxKey({ sessionId: reading.sessionId, party })) ?? Infinity;
      if (first > reading.endMs) yield `${said}, and nobody had asked for it`;
    }
  }
  for (const { messageId, rows, allAcknowledged, endMs, end } of ofKind(ledger.entries, "status")) {
    if (end.outcome !== "ok") continue;
    if (allAcknowledged === rows.every(({ status }) => status === "acknowledged")) continue;
    yield `${messageId} read all_acknowledged ${allAcknowledged} against its rows at ${at(endMs)}`;
  }
}

export function* takenBack(ledger: Ledger): Generator<string> {
  const facts = factsOf(ledger);
  for (const { reading, party, status } of rowsOf(ledger)) {
    const rank = ranks.get(status) ?? 0;
    const key = copyKey({ ...reading, party });
    for (const fact of facts.get(key) ?? []) {
      if (fact.endMs >= reading.startMs || fact.rank <= rank) continue;
      yield `${reading.messageId} read ${status} for ${party} at ${at(reading.endMs)}, after ${fact.status} was told at ${at(fact.endMs)}`;
      break;
    }
  }
}

interface Fact extends Span {
  readonly status: string;
  readonly rank: number;
}

/** What callers were told for good, by copy. */
function factsOf(ledger: Ledger): ReadonlyMap<string, readonly Fact[]> {
  const facts = new Map<string, Fact[]>();
  const note = (key: string, status: string, told: Span): void => {
    if (ledger.mayBeForgotten(told)) return;
    const known = facts.get(key) ?? [];
    facts.set(key, known);
    known.push({ status, rank: ranks.get(status) ?? 0, startMs: told.startMs, endMs: told.endMs });
  };
  for (const call of ofKind(ledger.entries, "acknowledgement")) {
    const isTold = call.end.outcome === "ok" && call.verdict === "processed";
    if (isTold) note(copyKey(call), "acknowledged", call);
  }
  for (const { reading, party, status } of rowsOf(ledger)) {
    note(copyKey({ ...reading, party }), status, reading);
  }
  return facts;
}

function* rowsOf({ entries }: Ledger): Generator<Row> {
  for (const reading of ofKind(entries, "status")) {
    for (const { party, status } of reading.rows) yield { reading, party, status };
  }
}

/** When each party first asked for its mail, by mailbox. */
function firstCalls({ entries }: Ledger): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const entry of entries) {
    if (entry.kind !== "stream" && entry.kind !== "poll") continue;
    const key = boxKey(entry);
    found.set(key, Math.min(found.get(key) ?? Infinity, entry.startMs));
  }
  return found;
}

function mayHaveFailed(ledger: Ledger, row: Row): boolean {
  if (verdictsBefore(ledger, row, "permanent") > 0) return true;
  return verdictsBefore(ledger, row, "refused") >= maxRefusals;
}

function verdictsBefore(
  { acknowledgements }: Ledger,
  { reading, party }: Row,
  verdict: string,
): number {
  const calls = acknowledgements.get(copyKey({ ...reading, party })) ?? [];
  return calls.filter((call) => call.verdict === verdict && call.startMs <= reading.endMs).length;
}
