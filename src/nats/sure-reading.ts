import { setTimeout as delay } from "node:timers/promises";
import type { StoredMsg } from "@nats-io/jetstream";
import { callBudgetMs } from "../domain/call-budget.ts";
import { brokerUnavailable } from "../domain/errors.ts";
import type { Nats } from "./connection.ts";
import { lastMessages, leaderMessage, pages, subjectsIn, type PagesQuery } from "./reading.ts";

/**
 * Reads that are sure to see everything acknowledged before the call. On a cluster any replica answers a direct read, also
 * one that has just come back and is far behind (nats-server 2.15 lets it at 90 % of all it ever applied). A replica takes
 * things in their order, so one that has the newest of what matches has all of it; what was removed a moment ago may still
 * be there.
 */

/** Before a replica that lags is asked again, in milliseconds. */
const lagPauseMs = 50;

/** All messages that match, in order, for who reads to the end. */
export async function* allMessages(
  nats: Nats,
  stream: string,
  query: PagesQuery,
): AsyncGenerator<StoredMsg> {
  let from = query.from ?? 1;
  const isBehind = createLagWatch(nats, stream, query.filter);
  for (;;) {
    for await (const page of pages(nats, stream, { ...query, from })) {
      yield* page;
      from = (page.at(-1)?.seq ?? from) + 1;
    }
    if (!nats.isClustered || !(await isBehind(from))) return;
    await delay(lagPauseMs);
  }
}

/** Tells whether the leader has a message from here on that was there at the first look. */
function createLagWatch(
  nats: Nats,
  stream: string,
  filter: string,
): (next: number) => Promise<boolean> {
  let first: { readonly newest: number; readonly giveUpAt: number } | undefined;
  return async (next) => {
    const newest = (await leaderMessage(nats, stream, filter))?.seq ?? 0;
    first ??= { newest, giveUpAt: performance.now() + callBudgetMs };
    // What was there may have been removed meanwhile.
    if (next > Math.min(first.newest, newest)) return false;
    if (performance.now() < first.giveUpAt) return true;
    throw brokerUnavailable("reading past a replica that lags");
  };
}

/** The newest message of each subject that matches, as the leader has them: also without what was removed. */
export async function leaderMessages(
  nats: Nats,
  stream: string,
  filter: string,
): Promise<readonly StoredMsg[]> {
  // A stream that is not replicated answers direct reads from the one place it has.
  if (!nats.isClustered) return lastMessages(nats, stream, [filter]);
  const subjects = await subjectsIn(nats, stream, filter);
  const found = await Promise.all(subjects.map((subject) => leaderMessage(nats, stream, subject)));
  return found.filter((message) => message !== undefined).toSorted((a, b) => a.seq - b.seq);
}

/**
 * The newest message of each subject that matches one of the filters, in the order of their sequences: one small read
 * from the leader for each filter.
 */
export async function freshMessages(
  nats: Nats,
  stream: string,
  filters: readonly string[],
): Promise<readonly StoredMsg[]> {
  if (!nats.isClustered) return lastMessages(nats, stream, filters);
  const [found, newest] = await Promise.all([
    lastMessages(nats, stream, filters),
    Promise.all(filters.map((filter) => leaderMessage(nats, stream, filter))),
  ]);
  // A replica takes things in their order: one that has the newest has all.
  const bySequence = new Map(found.map((message) => [message.seq, message]));
  const missing = filters.filter((_, index) => {
    const message = newest[index];
    return message !== undefined && !bySequence.has(message.seq);
  });
  const read = await Promise.all(missing.map((filter) => leaderMessages(nats, stream, filter)));
  for (const message of read.flat()) bySequence.set(message.seq, message);
  return [...bySequence.values()].toSorted((a, b) => a.seq - b.seq);
}
