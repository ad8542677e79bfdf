import type { JoinMissCounter } from "../../domain/sessions/session-ports.ts";
import { openBucket, untilHeld } from "../bucket.ts";
import type { Nats } from "../connection.ts";
import { buckets } from "../subjects.ts";

export interface JoinMissOptions {
  /** Time after the last miss until all are forgotten, in milliseconds. */
  readonly rememberMs?: number;
}

interface Misses {
  readonly count: number;
}

/** One key a caller and session in the memory bucket, which the server forgets by itself. */
export function openJoinMissCounter(
  nats: Nats,
  { rememberMs = 60_000 }: JoinMissOptions = {},
): JoinMissCounter {
  const bucket = openBucket<Misses>(nats, buckets.presence);
  return {
    async count(sessionId, callerId) {
      return (await bucket.get(keyOf(sessionId, callerId)))?.value.count ?? 0;
    },
    async add(sessionId, callerId) {
      const key = keyOf(sessionId, callerId);
      return untilHeld("counting a wrong token", async () => {
        const known = await bucket.get(key);
        const count = (known?.value.count ?? 0) + 1;
        const expectRevision = known?.revision ?? 0;
        const options = { expectRevision, ttlMs: rememberMs };
        return (await bucket.put(key, { count }, options)) === undefined ? undefined : count;
      });
    },
  };
}

function keyOf(sessionId: string, callerId: string): string {
  return `miss.${sessionId}.${callerId}`;
}
