import type { StoredMsg } from "@nats-io/jetstream";
import { ttlOf } from "../bucket.ts";
import type { Nats } from "../connection.ts";
import { unsettledIds } from "./mailbox-records.ts";
import { publishExpected } from "../publishing.ts";
import { subjectsIn } from "../reading.ts";
import { allMessages } from "../sure-reading.ts";
import { parseMessageSubject, streams, subjects } from "../subjects.ts";
import {
  foldSession,
  isSummary,
  packSummary,
  summaryText,
  textOf,
  type SessionRecords,
} from "./delivery-summary.ts";
import type { Settler } from "./settler.ts";

export interface FoldingOptions {
  readonly nats: Nats;
  readonly settler: Pick<Settler, "add">;
}

/** How soon it is looked again whether settled copies have gone, in milliseconds. */
const settlingMs = 20_000;
/**
 * A summary must be this old before the records go that it has, in milliseconds: a power failure may take the last two
 * minutes of what was written to an async stream, and must not take the summary alone.
 */
const durableAfterMs = 150_000;
/** What cannot be folded into one record of this size is left as it is, in bytes, and not even read beyond a number. */
const maxSummaryBytes = 524_288;
const maxRecords = 50_000;

/**
 * The next step of folding the delivery records of a session that has ended into one: they answer for 24 hours, and a
 * nats-server holds about half a kilobyte of memory for every record. Resolves with the milliseconds after which another
 * step is due, or `undefined` when there is none. A summary is never replaced but by one that has all that it has, and
 * records go only when the summary has them.
 */
export async function foldRecordsOf(
  { nats, settler }: FoldingOptions,
  sessionId: string,
): Promise<number | undefined> {
  if (await awaitSettler({ nats, settler }, sessionId)) return settlingMs;
  const stored = await storedOf(nats, sessionId);
  const summary = stored?.find(isSummary);
  const last = stored?.findLast((entry) => !isSummary(entry));
  if (stored === undefined || last === undefined) return undefined;
  const messages = foldSession(stored);
  const text = textOf(messages);
  if (summary === undefined || summaryText(summary.data) !== text) {
    const data = packSummary(text);
    if (data.length > maxSummaryBytes) return undefined;
    await publishExpected(nats, {
      what: "folding delivery records",
      stream: streams.deliveries,
      subject: subjects.deliverySummary(sessionId),
      data,
      lastSequence: summary?.seq ?? 0,
      ttl: ttlOf(keepUntil(messages) - nats.clock.nowMs()),
    });
    return durableAfterMs;
  }
  const ageMs = nats.clock.nowMs() - summary.time.getTime();
  if (ageMs < durableAfterMs) return durableAfterMs - ageMs;
  await nats.attempt("folding delivery records", () =>
    nats.jsm.streams.purge(streams.deliveries, {
      filter: subjects.deliveriesOfSession(sessionId),
      // What was written since the summary stays, and so does the summary.
      seq: Math.min(last.seq + 1, summary.seq),
    }),
  );
  return undefined;
}

/** All that is recorded of a session, in order; `undefined`: too much. A replica may give less, but then of the oldest. */
async function storedOf(nats: Nats, sessionId: string): Promise<readonly StoredMsg[] | undefined> {
  const filter = subjects.deliveriesOfSession(sessionId);
  const stored: StoredMsg[] = [];
  for await (const entry of allMessages(nats, streams.deliveries, { filter })) {
    if (stored.length === maxRecords) return undefined;
    stored.push(entry);
  }
  return stored;
}

/** A copy that a record settles goes first: without that record it would stay. True where there is one. */
async function awaitSettler(
  { nats, settler }: FoldingOptions,
  sessionId: string,
): Promise<boolean> {
  const subjectsOfCopies = await subjectsIn(
    nats,
    streams.messages,
    subjects.mailOfSession(sessionId),
  );
  const copies = Map.groupBy(subjectsOfCopies.map(parseMessageSubject), ({ partyId }) => partyId);
  let isWaiting = false;
  for (const [partyId, found] of copies) {
    const box = { partyId, sessionId };
    const ids = found.map(({ messageId }) => messageId);
    const unsettled = await unsettledIds(nats, box, ids);
    for (const messageId of ids.filter((id) => !unsettled.has(id))) {
      settler.add(box, messageId);
      isWaiting = true;
    }
  }
  return isWaiting;
}

/** As long as the records themselves: an hour longer than their copies. */
function keepUntil(messages: SessionRecords): number {
  const all = [...messages.values()].map(({ facts }) => facts.keepUntil);
  return all.reduce((latest, one) => Math.max(latest, one), 0) + 3_600_000;
}
