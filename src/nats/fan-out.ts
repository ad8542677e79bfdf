import { factsOf } from "../domain/messages/routing.ts";
import type {
  Mailbox,
  MessageFacts,
  OutgoingMessage,
  Recipient,
} from "../domain/messages/message.ts";
import type { Logger } from "../telemetry/logger.ts";
import { ttlOf } from "./bucket.ts";
import type { Nats } from "./connection.ts";
import { isWrongLastSequence } from "./errors.ts";
import type { FactsCache } from "./facts-cache.ts";
import { copyHeaders, decodeStored } from "./message-codec.ts";
import { leaderMessage, leaderMessages, subjectsIn } from "./reading.ts";
import { parseDeliverySubject, parseMessageSubject, streams, subjects } from "./subjects.ts";

/** Partial fan-outs that an instance goes on with at once; any more are left to the sweep. */
const maxUnfinished = 64;
const retryPauseMs = 500;

export interface FanOut extends AsyncDisposable {
  append(message: OutgoingMessage): Promise<void>;
  complete(message: OutgoingMessage): Promise<void>;
  /** Completes a message of which only a copy is at hand: that of the mailbox named. Cheap where nothing is missing. */
  repair(copy: CopyAtHand): Promise<void>;
}

export interface CopyAtHand {
  readonly box: Mailbox;
  readonly messageId: string;
  readonly facts: MessageFacts;
}

export interface FanOutOptions {
  readonly nats: Nats;
  readonly facts: FactsCache;
  readonly logger: Logger;
  /** Party ids of a session in roster order; `undefined` when the session is not known (any more). */
  readonly roster: (sessionId: string) => readonly string[] | undefined;
}

/** Fan-outs of this instance that are known to be complete; the oldest are forgotten first. */
const maxComplete = 20_000;

/**
 * Stores a message once per recipient. What is stored is never withdrawn, since a recipient may have processed it; so
 * a fan-out that was cut short is completed.
 */
export function createFanOut({ nats, facts, logger, roster }: FanOutOptions): FanOut {
  const stopping = new AbortController();
  const unfinished = new Set<Promise<void>>();
  const complete = new Set<string>();

  const publish = async (message: OutgoingMessage, recipient: Recipient): Promise<void> => {
    const box = { partyId: recipient.partyId, sessionId: message.sessionId };
    try {
      await nats.attempt("storing a message", () =>
        nats.js.publish(subjects.message(box, message.messageId), message.payload, {
          headers: copyHeaders(message),
          msgID: `${message.messageId}.${recipient.partyId}`,
          expect: { lastSubjectSequence: 0 },
          ttl: ttlOf(message.keepUntil - nats.clock.nowMs()),
        }),
      );
    } catch (error) {
      // The copy is there already: an earlier try was stored though its answer was lost.
      if (!isWrongLastSequence(error)) throw error;
    }
    facts.set(box, message.messageId, factsOf(message));
  };

  const publishAll = async (message: OutgoingMessage, to: readonly Recipient[]): Promise<void> => {
    const results = await Promise.allSettled(to.map((recipient) => publish(message, recipient)));
    const failure = results.find((result) => result.status === "rejected");
    if (failure !== undefined) throw failure.reason;
    complete.add(message.messageId);
    if (complete.size <= maxComplete) return;
    const oldest = complete.values().next();
    if (oldest.done !== true) complete.delete(oldest.value);
  };

  /** Who has neither a copy nor a record: copies are looked at first, since one goes only after its record is there. */
  const unserved = async (message: {
    readonly sessionId: string;
    readonly messageId: string;
    readonly recipients: readonly Recipient[];
  }): Promise<readonly Recipient[]> => {
    const { sessionId, messageId, recipients } = message;
    const copies = await subjectsIn(
      nats,
      streams.messages,
      subjects.copiesOf(sessionId, messageId),
    );
    const records = await leaderMessages(
      nats,
      streams.deliveries,
      subjects.deliveriesOf(sessionId, messageId),
    );
    const served = new Set([
      ...copies.map((subject) => parseMessageSubject(subject).partyId),
      ...records.map(({ subject }) => parseDeliverySubject(subject).partyId),
    ]);
    return recipients.filter(({ partyId }) => !served.has(partyId));
  };

  const finish = async (message: OutgoingMessage): Promise<void> => {
    while (!stopping.signal.aborted && nats.clock.nowMs() < message.keepUntil) {
      await new Promise((resolve) => setTimeout(resolve, retryPauseMs));
      try {
        const missing = await unserved(message);
        // Nobody has it: the caller was told that the outcome is unknown, and will send it again if it still matters.
        if (missing.length === message.recipients.length) return;
        await publishAll(message, missing);
        return;
      } catch (error) {
        logger.debug({ messageId: message.messageId, error }, "fan-out still incomplete");
      }
    }
  };

  const finishLater = (message: OutgoingMessage): void => {
    if (message.recipients.length < 2 || unfinished.size >= maxUnfinished) return;
    const task = finish(message).finally(() => unfinished.delete(task));
    unfinished.add(task);
  };

  const store = async (message: OutgoingMessage, to: readonly Recipient[]): Promise<void> => {
    try {
      await publishAll(message, to);
    } catch (error) {
      finishLater(message);
      throw error;
    }
  };

  const repair = async ({ box, messageId, facts: known }: CopyAtHand): Promise<void> => {
    if (known.toPositions.length < 2 || complete.has(messageId)) return;
    const parties = roster(box.sessionId);
    if (parties === undefined) return;
    const recipients = known.toPositions.flatMap((position) => {
      const partyId = parties[position];
      return partyId === undefined ? [] : [{ partyId, position }];
    });
    const missing = await unserved({ sessionId: box.sessionId, messageId, recipients });
    if (missing.length === 0) return;
    const copy = await leaderMessage(nats, streams.messages, subjects.message(box, messageId));
    if (copy === undefined) return;
    const { message } = decodeStored(copy);
    logger.info({ messageId, missing: missing.length }, "completing a partial fan-out");
    await publishAll({ ...message, recipients, keepUntil: known.keepUntil }, missing);
  };

  return {
    repair,
    append: (message) => store(message, message.recipients),
    complete: async (message) => store(message, await unserved(message)),
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await Promise.all(unfinished);
    },
  };
}
