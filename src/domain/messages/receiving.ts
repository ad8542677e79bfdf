import { createBell } from "../bell.ts";
import { actingParty, type Caller } from "../caller.ts";
import type { Clock } from "../clock.ts";
import { requireId, requireWhole } from "../ids.ts";
import { judgeSession, requireLive, seatIn } from "../sessions/session-access.ts";
import type { SessionEndings } from "../sessions/session-endings.ts";
import type { SessionStore } from "../sessions/session-ports.ts";
import { retentionMs, type SessionRecord } from "../sessions/session.ts";
import type { Mailboxes, MessageStore } from "./message-ports.ts";
import type { Mailbox, Message } from "./message.ts";
import { requireJoined } from "./routing.ts";

/** One answer of GetPendingMessages: at most this many messages and bytes, but always at least one message. */
const pageLimits = { maxMessages: 100, maxBytes: 4_000_000 };
/** The longest a poll may wait for mail, in seconds. */
export const maxWaitSeconds = 30;

export interface ReceivingOptions {
  readonly sessions: SessionStore;
  readonly store: MessageStore;
  readonly mailboxes: Mailboxes;
  readonly endings: SessionEndings;
  readonly clock: Clock;
}

interface PendingRequest {
  readonly sessionId: string;
  readonly partyId: string;
  /** Unix milliseconds, exclusive; 0: all. */
  readonly afterTimestamp: number;
  /** How long to wait while there is nothing, in seconds. */
  readonly waitSeconds: number;
}

export interface Receiving {
  /** Resolves once the stream is open: from then on no message can be missed. */
  subscribe(caller: Caller, box: Mailbox, signal: AbortSignal): Promise<AsyncIterable<Message>>;
  pending(
    caller: Caller,
    request: PendingRequest,
    signal: AbortSignal,
  ): Promise<readonly Message[]>;
}

export function createReceiving(options: ReceivingOptions): Receiving {
  const receivingSession = (caller: Caller, named: Mailbox): Promise<SessionRecord> => {
    const sessionId = requireId("session_id", named.sessionId);
    const partyId = actingParty(caller, requireId("party_id", named.partyId));
    const nowMs = options.clock.nowMs();
    return judgeSession(options.sessions, sessionId, (found) => {
      const seat = seatIn(found, partyId, nowMs);
      requireLive(seat.record, nowMs);
      requireJoined(seat);
      return seat.record;
    });
  };
  return {
    async subscribe(caller, box, signal) {
      const record = await receivingSession(caller, box);
      const watch = options.endings.watch(record);
      signal.addEventListener("abort", watch.stop, { once: true });
      try {
        const messages = await options.mailboxes.open(box, {
          keepUntil: record.expiresAt + retentionMs,
          ended: watch.ended,
          signal,
        });
        return finishing(messages, watch.stop);
      } catch (error) {
        watch.stop();
        throw error;
      }
    },
    async pending(caller, request, signal) {
      requireWhole("after_timestamp", request.afterTimestamp, {
        min: 0,
        max: Number.MAX_SAFE_INTEGER,
      });
      const { sessionId, partyId } = request;
      const box = { sessionId, partyId };
      const record = await receivingSession(caller, box);
      const query = { ...pageLimits, createdAfter: request.afterTimestamp };
      const found = await options.store.pending(box, query);
      if (found.length > 0 || request.waitSeconds === 0) return found;
      const watch = options.endings.watch(record);
      const over = AbortSignal.timeout(request.waitSeconds * 1_000);
      const gone = AbortSignal.any([signal, watch.ended]);
      try {
        return await awaitPending(() => options.store.pending(box, query), {
          over,
          gone,
          onArrival: (listener) => options.store.onArrival(box, listener),
        });
      } finally {
        watch.stop();
      }
    },
  };
}

/**
 * An arrival is heard a moment before it can be read, at the latest a call's budget later: so a fruitless read is repeated
 * after these times, in milliseconds.
 */
const rereadDelaysMs = [2, 10, 50, 250, 1_000, 2_000];

interface Waiting {
  /** The patience is over: what is there by then is still given. */
  readonly over: AbortSignal;
  /** Nobody wants the answer any more. */
  readonly gone: AbortSignal;
  readonly onArrival: (listener: () => void) => () => void;
}

async function awaitPending(
  read: () => Promise<readonly Message[]>,
  { over, gone, onArrival }: Waiting,
): Promise<readonly Message[]> {
  const bell = createBell();
  const ring = (): void => bell.ring();
  // Something may have come between the first read and the listening, too.
  let rereads = 0;
  const off = onArrival(() => {
    rereads = 0;
    ring();
  });
  for (const signal of [over, gone]) signal.addEventListener("abort", ring, { once: true });
  try {
    for (;;) {
      if (gone.aborted) return [];
      const isOver = over.aborted;
      const found = await read();
      if (found.length > 0 || isOver) return found;
      const delayMs = rereadDelaysMs[rereads];
      rereads += 1;
      const timer = delayMs === undefined ? undefined : setTimeout(ring, delayMs);
      await bell.rung();
      clearTimeout(timer);
    }
  } finally {
    off();
    for (const signal of [over, gone]) signal.removeEventListener("abort", ring);
  }
}

async function* finishing(
  messages: AsyncIterable<Message>,
  stop: () => void,
): AsyncGenerator<Message> {
  try {
    yield* messages;
  } finally {
    stop();
  }
}
