import { brokerUnavailable } from "../../domain/errors.ts";
import { callBudgetMs } from "../../domain/call-budget.ts";
import type { SessionStore } from "../../domain/sessions/session-ports.ts";
import type { SessionRecord, StoredSession } from "../../domain/sessions/session.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { openBucket } from "../bucket.ts";
import type { Nats } from "../connection.ts";
import { isMessageGone } from "../errors.ts";
import { decodeRecord } from "../json.ts";
import { lastSequence, leaderMessage } from "../reading.ts";
import { openKeptSessions } from "./kept-sessions.ts";
import { openSessionCache, type SessionCache } from "./session-cache.ts";
import { followStream } from "../stream-follower.ts";
import { buckets } from "../subjects.ts";

const stream = `KV_${buckets.sessions}`;
const allSubjects = `$KV.${buckets.sessions}.>`;
/** How long to wait for what should be heard before it is asked for again, in milliseconds. */
const hearingMs = 200;

/** Opens the records of all sessions; resolves once the cache holds what is stored. */
export async function openSessionStore(
  nats: Nats,
  { logger }: { readonly logger: Logger },
): Promise<SessionStore & AsyncDisposable> {
  const bucket = openBucket<SessionRecord>(nats, buckets.sessions);
  const cache = openSessionCache(logger);
  const stopping = new AbortController();
  const following = followStream(nats, {
    stream,
    heard: () => cache.heardRevision(),
    onMessage: ({ data, seq }) =>
      cache.hear({ record: decodeRecord<SessionRecord>(data), revision: seq }),
    // What is stored may be older than what is cached, or gone: all of it is read again.
    onRewind: () => cache.clear(),
    signal: stopping.signal,
    logger,
  });
  const close = async (): Promise<void> => {
    stopping.abort();
    await following;
  };
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
    async create(record: SessionRecord) {
      for (;;) {
        const revision = await bucket.put(record.sessionId, record, { expectRevision: 0 });
        if (revision !== undefined) {
          return { created: true, stored: cache.enter({ record, revision }) };
        }
        const stored = await store.read(record.sessionId);
        if (stored !== undefined) return { created: false, stored };
      }
    },
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
    catchUp: () => catchUp(nats, cache),
    onChange: (listener: (stored: StoredSession) => void) => cache.onChange(listener),
    ...openKeptSessions(nats),
    [Symbol.asyncDispose]: close,
  };
  try {
    await store.catchUp();
  } catch (error) {
    await close();
    throw error;
  }
  return store;
}

/** Precisely this revision: a session that was made under the same id since stays. */
async function removeRevision(nats: Nats, revision: number): Promise<void> {
  await nats.attempt("removing a session", async () => {
    try {
      await nats.jsm.streams.deleteMessage(stream, revision, false);
    } catch (error) {
      if (!isMessageGone(error)) throw error;
    }
  });
}

/** Resolves once everything that was stored before the call, and still is, has been heard. */
async function catchUp(nats: Nats, cache: SessionCache): Promise<void> {
  const giveUpAt = performance.now() + callBudgetMs;
  const last = await lastSequence(nats, stream);
  while (!cache.hasHeard(last)) {
    // What was stored last may have been removed, and is then never heard: what is there counts.
    const newest = (await leaderMessage(nats, stream, allSubjects))?.seq ?? 0;
    if (cache.heardRevision() >= newest) return cache.settle(last);
    if (performance.now() >= giveUpAt) throw brokerUnavailable("catching up with sessions");
    await cache.waitForNews(hearingMs);
  }
}
