import type { SessionStore } from "../../domain/sessions/session-ports.ts";
import type { SessionRecord, StoredSession } from "../../domain/sessions/session.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { followBucket } from "../bucket-follower.ts";
import { openBucket, untilHeld } from "../bucket.ts";
import type { Nats } from "../connection.ts";
import { deleteMessage } from "../deleting.ts";
import { openKeptSessions } from "./kept-sessions.ts";
import { openSessionCache } from "./session-cache.ts";
import { buckets } from "../subjects.ts";

const stream = `KV_${buckets.sessions}`;
/** What reading all sessions may take at the start, in milliseconds; 100,000 take some seconds. */
const loadingMs = 60_000;

/** Opens the records of all sessions; resolves once the cache holds what is stored. */
export async function openSessionStore(
  nats: Nats,
  { logger }: { readonly logger: Logger },
): Promise<SessionStore & AsyncDisposable> {
  const bucket = openBucket<SessionRecord>(nats, buckets.sessions);
  const cache = openSessionCache(logger);
  const follower = followBucket<SessionRecord>(nats, {
    bucket: buckets.sessions,
    isInMemory: false,
    onEntry: ({ value: record, revision }) => cache.enter({ record, revision }),
    onRewind: () => cache.clear(),
    logger,
  });
  const store = {
    cached: (sessionId: string) => cache.get(sessionId),
    async read(sessionId: string) {
      const before = cache.get(sessionId);
      const entry = await bucket.get(sessionId);
      if (entry === undefined) {
        cache.dropGone(sessionId, before);
        return undefined;
      }
      return cache.enter({ record: entry.value, revision: entry.revision });
    },
    create: (record: SessionRecord) =>
      untilHeld("creating a session", async () => {
        const revision = await bucket.put(record.sessionId, record, { expectRevision: 0 });
        if (revision !== undefined) {
          return { created: true, stored: cache.enter({ record, revision }) };
        }
        const stored = await store.read(record.sessionId);
        return stored === undefined ? undefined : { created: false, stored };
      }),
    async replace(stored: StoredSession, record: SessionRecord) {
      const expectRevision = stored.revision;
      const revision = await bucket.put(record.sessionId, record, { expectRevision });
      return revision === undefined ? undefined : cache.enter({ record, revision });
    },
    async remove(stored: StoredSession) {
      await removeRevision(nats, stored.revision);
      cache.dropGone(stored.record.sessionId, stored);
    },
    all: () => cache.all(),
    catchUp: () => follower.catchUp(),
    onChange: (listener: (stored: StoredSession) => void) => cache.onChange(listener),
    ...openKeptSessions(nats),
    [Symbol.asyncDispose]: () => follower[Symbol.asyncDispose](),
  };
  try {
    await follower.catchUp(loadingMs);
  } catch (error) {
    await follower[Symbol.asyncDispose]();
    throw error;
  }
  return store;
}

/** Precisely this revision: a session that was made under the same id since stays. */
function removeRevision(nats: Nats, sequence: number): Promise<void> {
  return deleteMessage(nats, { what: "removing a session", stream, sequence, erases: false });
}
