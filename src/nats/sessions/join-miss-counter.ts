import type { JoinMissCounter } from "../../domain/sessions/session-ports.ts";
import { openBucket } from "../bucket.ts";
import type { Nats } from "../connection.ts";
import { buckets } from "../subjects.ts";

/** Time after the last miss until all are forgotten, in milliseconds. */
const rememberMs = 60_000;

interface Misses {
  readonly count: number;
}

/** One key a caller and session in the memory bucket, which the server forgets by itself. */
export function openJoinMissCounter(nats: Nats): JoinMissCounter {
  const bucket = openBucket<Misses>(nats, buckets.presence);
  return {
    async count(sessionId, callerId) {
      return (await bucket.get(keyOf(sessionId, callerId)))?.value.count ?? 0;
    },
    async add(sessionId, callerId) {
      const key = keyOf(sessionId, callerId);
      for (;;) {
        const known = await bucket.get(key);
        const count = (known?.value.count ?? 0) + 1;
        const expectRevision = known?.revision ?? 0;
        const options = { expectRevision, ttlMs: rememberMs };
        if ((await bucket.put(key, { count }, options)) !== undefined) return count;
      }
    },
  };
}

function keyOf(sessionId: string, callerId: string): string {
  return `miss.${sessionId}.${callerId}`;
}
