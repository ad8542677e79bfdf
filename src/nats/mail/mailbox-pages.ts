import type { StoredMsg } from "@nats-io/jetstream";
import type { Mailbox } from "../../domain/messages/message.ts";
import type { Nats } from "../connection.ts";
import { leaderMessage, pages, subjectsIn, type PagesQuery } from "../reading.ts";
import { streams, subjects } from "../subjects.ts";

/**
 * The copies that a mailbox has, in order and page by page, without a consumer. The last page has what a replica that lags
 * behind its leader did not know yet.
 */
export async function* mailboxPages(
  nats: Nats,
  box: Mailbox,
  query: Required<Omit<PagesQuery, "filter">>,
): AsyncGenerator<readonly StoredMsg[]> {
  const filter = subjects.mailbox(box);
  const seen = new Set<string>();
  for await (const page of pages(nats, streams.messages, { ...query, filter })) {
    for (const { subject } of page) seen.add(subject);
    yield page;
  }
  if (!nats.isClustered) return;
  const listed = await subjectsIn(nats, streams.messages, filter);
  const missing = listed.filter((subject) => !seen.has(subject));
  const copies = await Promise.all(
    missing.map((subject) => leaderMessage(nats, streams.messages, subject)),
  );
  const found = copies
    .filter((copy) => copy !== undefined)
    .filter(({ seq }) => seq >= query.from)
    .toSorted((a, b) => a.seq - b.seq);
  if (found.length > 0) yield found;
}
