import type { Mailbox } from "../../domain/messages/message.ts";
import type { PendingCounter } from "../../domain/parties/party.ts";
import type { Nats } from "../connection.ts";
import { unsettledIds } from "./mailbox-records.ts";
import { allHeaders } from "../header-listing.ts";
import { subjectsIn } from "../reading.ts";
import { parseMessageSubject, streams, subjects } from "../subjects.ts";

export interface MailboxSize {
  /** Unsettled messages. */
  readonly messages: number;
  /** Their size in the store, in bytes. */
  readonly bytes: number;
}

/** Measures what lies unsettled in a mailbox, reading headers only. */
export async function measureMailbox(nats: Nats, box: Mailbox): Promise<MailboxSize> {
  const sizes = await copySizes(nats, box);
  const unsettled = await unsettledIds(nats, box, [...sizes.keys()]);
  let bytes = 0;
  for (const messageId of unsettled) bytes += sizes.get(messageId) ?? 0;
  return { messages: unsettled.size, bytes };
}

function copySizes(nats: Nats, box: Mailbox): Promise<ReadonlyMap<string, number>> {
  return nats.attempt("measuring a mailbox", async () => {
    const sizes = new Map<string, number>();
    for await (const copy of allHeaders(nats, streams.messages, subjects.mailbox(box))) {
      const size = Number(copy.headers?.get("Nats-Msg-Size") ?? 0);
      sizes.set(parseMessageSubject(copy.subject).messageId, size);
    }
    return sizes;
  });
}

/** Counts a party's unsettled messages over several sessions. */
export function createPendingCounter(nats: Nats): PendingCounter {
  return {
    async count(partyId, sessionIds) {
      const filter = subjects.mailOfParty(partyId);
      const wanted = new Set(sessionIds);
      const copies = (await subjectsIn(nats, streams.messages, filter)).map(parseMessageSubject);
      const bySession = Map.groupBy(copies, (copy) => copy.sessionId);
      const counts = [...bySession].map(async ([sessionId, found]) => {
        if (!wanted.has(sessionId)) return 0;
        const ids = found.map(({ messageId }) => messageId);
        return (await unsettledIds(nats, { partyId, sessionId }, ids)).size;
      });
      return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
    },
  };
}
