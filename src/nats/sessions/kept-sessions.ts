import type { KeptSession, SessionStore } from "../../domain/sessions/session-ports.ts";
import type { SessionRecord } from "../../domain/sessions/session.ts";
import { openBucket } from "../bucket.ts";
import type { Nats } from "../connection.ts";
import { decodeRecord } from "../json.ts";
import { lastSequence } from "../reading.ts";
import { allMessages } from "../sure-reading.ts";
import { buckets } from "../subjects.ts";

const stream = `KV_${buckets.keys}`;
/** Sessions read at a time: few at first, since a page seldom needs more. */
const firstPiece = 64;
const largestPiece = 512;

/** Completed keygen sessions, in a bucket of their own that grows with the keys; so nobody watches it or reads it all. */
export function openKeptSessions(nats: Nats): Pick<SessionStore, "keep" | "kept" | "keptBefore"> {
  const bucket = openBucket<SessionRecord>(nats, buckets.keys);
  return {
    async keep(record) {
      // What is kept does not change, so a record that is there is this one.
      await bucket.put(record.sessionId, record, { expectRevision: 0 });
    },
    async kept(sessionId) {
      return (await bucket.get(sessionId))?.value;
    },
    async *keptBefore(place = Number.MAX_SAFE_INTEGER) {
      let before = Math.min(place, (await lastSequence(nats, stream)) + 1);
      for (let size = firstPiece; before > 1; size = Math.min(2 * size, largestPiece)) {
        const from = Math.max(1, before - size);
        yield (await between(nats, from, before)).toReversed();
        before = from;
      }
    },
  };
}

/** Those with `from <= place < before`, in order. */
async function between(nats: Nats, from: number, before: number): Promise<KeptSession[]> {
  const found: KeptSession[] = [];
  const filter = `$KV.${buckets.keys}.>`;
  for await (const { seq, data } of allMessages(nats, stream, {
    filter,
    from,
    maxMessages: before - from,
  })) {
    if (seq < before) found.push({ record: decodeRecord<SessionRecord>(data), place: seq });
    // Not one more, or another page would be read for it.
    if (seq >= before - 1) break;
  }
  return found;
}
