import type { SessionStore } from "../../domain/sessions/session-ports.ts";
import type { SessionRecord } from "../../domain/sessions/session.ts";
import { openBucket } from "../bucket.ts";
import type { Nats } from "../connection.ts";
import { decodeRecord } from "../json.ts";
import { allMessages } from "../reading.ts";
import { buckets } from "../subjects.ts";

/** Completed keygen sessions, in a bucket of their own that grows with the keys; so nobody watches it. */
export function openKeptSessions(nats: Nats): Pick<SessionStore, "keep" | "kept" | "allKept"> {
  const bucket = openBucket<SessionRecord>(nats, buckets.keys);
  return {
    async keep(record) {
      // What is kept does not change, so a record that is there is this one.
      await bucket.put(record.sessionId, record, { expectRevision: 0 });
    },
    async kept(sessionId) {
      return (await bucket.get(sessionId))?.value;
    },
    async *allKept() {
      const range = { filter: `$KV.${buckets.keys}.>` };
      for await (const { data } of allMessages(nats, `KV_${buckets.keys}`, range)) {
        yield decodeRecord<SessionRecord>(data);
      }
    },
  };
}
