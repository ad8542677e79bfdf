import type { StoredMsg } from "@nats-io/jetstream";
import type { Mailbox } from "../../domain/messages/message.ts";
import type { Nats } from "../connection.ts";
import { batch, leaderMessage, subjectsIn } from "../reading.ts";
import { streams, subjects } from "../subjects.ts";

interface PageOptions {
  /** First place in the message stream to look at. */
  readonly fromSequence: number;
  readonly maxMessages: number;
  readonly maxBytes: number;
}

/**
 * The copies that a mailbox has, in order, without a consumer. The last page also has what a replica that lags behind its
 * leader does not know yet.
 */
export async function* mailboxPages(
  nats: Nats,
  box: Mailbox,
  options: PageOptions,
): AsyncGenerator<readonly StoredMsg[]> {
  const filter = subjects.mailbox(box);
  const seen = new Set<string>();
  let { fromSequence } = options;
  for (;;) {
    const page = await batch(nats, streams.messages, { ...options, filter, fromSequence });
    for (const { subject } of page) seen.add(subject);
    const last = page.at(-1);
    if (last === undefined || last.pending === 0) {
      const newer = nats.isClustered ? await missedCopies(nats, box, { seen, fromSequence }) : [];
      const all = [...page, ...newer].toSorted((a, b) => a.seq - b.seq);
      if (all.length > 0) yield all;
      return;
    }
    yield page;
    fromSequence = last.seq + 1;
  }
}

async function missedCopies(
  nats: Nats,
  box: Mailbox,
  { seen, fromSequence }: { readonly seen: ReadonlySet<string>; readonly fromSequence: number },
): Promise<readonly StoredMsg[]> {
  const listed = await subjectsIn(nats, streams.messages, subjects.mailbox(box));
  const missing = listed.filter((subject) => !seen.has(subject));
  const found = await Promise.all(
    missing.map((subject) => leaderMessage(nats, streams.messages, subject)),
  );
  return found.filter((copy) => copy !== undefined).filter(({ seq }) => seq >= fromSequence);
}
