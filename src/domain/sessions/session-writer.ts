import type { Clock } from "../clock.ts";
import { brokerUnavailable } from "../errors.ts";
import { callBudgetMs } from "../call-budget.ts";
import type { Vault } from "../secrets/vault.ts";
import type { SessionLog } from "./coordinator-options.ts";
import { createKeyedQueue } from "./keyed-queue.ts";
import { visible } from "./session-access.ts";
import type { SessionStore } from "./session-ports.ts";
import { eraseDue } from "./session-secrets.ts";
import type { SessionSettling } from "./session-settling.ts";
import { isTerminal, type SessionRecord } from "./session.ts";

/** A move of the state machine: gives back the same record when there is nothing to do. May run more than once. */
type Move = (record: SessionRecord, nowMs: number) => SessionRecord;

/** Changes records, one change of a session after the other. */
export interface SessionWriter {
  /**
   * Makes the move on the record as it stands, and resolves with the outcome once it and its events are durable. A move
   * that changes nothing still waits for the events of what was decided before. SESSION_NOT_FOUND: there is no record.
   */
  change(sessionId: string, move: Move): Promise<SessionRecord>;
  /** Settles a record that was just created. */
  settleNew(record: SessionRecord): Promise<void>;
  /** Writes down how many events are stored, if the record does not say so yet. */
  markPublished(sessionId: string): Promise<void>;
  /** Stores the events that are missing, in another instance's place. */
  takeOver(sessionId: string): Promise<void>;
  /** Sessions with events that were stored here and not yet marked, since the last call. */
  unmarked(): readonly string[];
}

export interface WriterOptions {
  readonly sessions: SessionStore;
  readonly settling: SessionSettling;
  readonly vault: Vault;
  readonly clock: Clock;
  readonly log: SessionLog;
}

/** Calls that may wait for one session: two for each party of the largest. */
const maxWaiting = 200;
/** Tries of a compare-and-set; each that fails means that somebody else has got on. */
const maxTries = 50;

export function createSessionWriter(options: WriterOptions): SessionWriter {
  const { sessions, settling, clock } = options;
  const queue = createKeyedQueue({ maxWaiting, maxWaitMs: callBudgetMs });
  let dirty = new Set<string>();

  const settle = async (record: SessionRecord): Promise<void> => {
    await settling.settle(record);
    if (record.publishedCount < record.transitions.length) dirty.add(record.sessionId);
  };
  return {
    change: (sessionId, move) =>
      queue.run(sessionId, async () => {
        const { record, changed } = await compareAndSet(options, sessionId, move);
        await settle(record);
        // Also where it was changed by a try whose answer was lost: then its events were still to be noted.
        const isRecent = record.publishedCount < record.transitions.length;
        if (changed || isRecent) await eraseWhatIsDue(options, record);
        return record;
      }),
    settleNew: (record) => queue.run(record.sessionId, () => settle(record)),
    markPublished: (sessionId) =>
      queue.run(sessionId, async () => {
        const stored = await sessions.read(sessionId);
        if (stored === undefined) return;
        const publishedCount = settling.publishedCount(stored.record);
        if (publishedCount === stored.record.publishedCount) return;
        const marked = await sessions.replace(stored, { ...stored.record, publishedCount });
        // Somebody else has changed the record, and wrote its own count.
        if (marked === undefined) dirty.add(sessionId);
      }),
    takeOver: (sessionId) =>
      queue.run(sessionId, async () => {
        const stored = await sessions.read(sessionId);
        if (stored === undefined) return;
        await settle(stored.record);
        await eraseWhatIsDue(options, stored.record);
      }),
    unmarked() {
      const due = [...dirty];
      dirty = new Set();
      return due;
    },
  };

  async function compareAndSet(
    { sessions: store }: WriterOptions,
    sessionId: string,
    move: Move,
  ): Promise<{ readonly record: SessionRecord; readonly changed: boolean }> {
    for (let tries = 0; tries < maxTries; tries += 1) {
      const nowMs = clock.nowMs();
      const stored = await store.read(sessionId);
      const record = visible(stored?.record, nowMs);
      const moved = move(record, nowMs);
      if (moved === record || stored === undefined) return { record, changed: false };
      const publishedCount = settling.publishedCount(record);
      const written = await store.replace(stored, { ...moved, publishedCount });
      if (written !== undefined) return { record: written.record, changed: true };
    }
    throw brokerUnavailable("changing a session");
  }
}

/** A crash or failure leaves it to the sweep, which finds what is due by the record. */
async function eraseWhatIsDue(
  { vault, clock, log }: WriterOptions,
  record: SessionRecord,
): Promise<void> {
  if (!isTerminal(record.status)) return;
  try {
    await eraseDue(vault, record, clock.nowMs());
  } catch (error) {
    log.warn({ err: error, sessionId: record.sessionId }, "erasing a session's secrets later");
  }
}
