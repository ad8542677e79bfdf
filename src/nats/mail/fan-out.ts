import { BoundedMap } from "../../domain/bounded-map.ts";
import type {
  Mailbox,
  MessageFacts,
  OutgoingMessage,
  Recipient,
} from "../../domain/messages/message.ts";
import { factsOf } from "../../domain/messages/routing.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { ttlOf } from "../bucket.ts";
import type { Nats } from "../connection.ts";
import { isWrongLastSequence } from "../errors.ts";
import type { FactsCache } from "./facts-cache.ts";
import { copyHeaders, decodeStored } from "./message-codec.ts";
import { leaderMessage, leaderMessages, subjectsIn } from "../reading.ts";
import { parseDeliverySubject, parseMessageSubject, streams, subjects } from "../subjects.ts";

/** Partial fan-outs that an instance goes on with at once; any more are left to the sweep. */
const maxUnfinished = 64;
const retryPauseMs = 500;
/** Fan-outs of this instance that are known to be complete. */
const maxComplete = 20_000;

export interface FanOut extends AsyncDisposable {
  append(message: OutgoingMessage): Promise<void>;
  complete(message: OutgoingMessage): Promise<void>;
  /** Completes a message of which only a copy is at hand: that of the mailbox named. Cheap where nothing is missing. */
  repair(copy: CopyAtHand): Promise<void>;
}

interface CopyAtHand {
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

/**
 * Stores a message once per recipient. What is stored is never withdrawn, since a recipient may have processed it; so
 * a fan-out that was cut short is completed.
 */
export function createFanOut(options: FanOutOptions): FanOut {
  const { nats, logger } = options;
  const stopping = new AbortController();
  const unfinished = new Set<Promise<void>>();
  const complete = new BoundedMap<string, true>(maxComplete);

  const publish = async (message: OutgoingMessage, to: readonly Recipient[]): Promise<void> => {
    const results = await Promise.allSettled(to.map((one) => publishCopy(options, message, one)));
    const failure = results.find((result) => result.status === "rejected");
    if (failure !== undefined) throw failure.reason;
    complete.set(message.messageId, true);
  };

  const finish = async (message: OutgoingMessage): Promise<void> => {
    while (!stopping.signal.aborted && nats.clock.nowMs() < message.keepUntil) {
      await new Promise((resolve) => setTimeout(resolve, retryPauseMs));
      try {
        const missing = await unserved(nats, message);
        // Nobody has it: the caller was told that the outcome is unknown, and will send it again if it still matters.
        if (missing.length < message.recipients.length) await publish(message, missing);
        return;
      } catch (error) {
        logger.debug({ messageId: message.messageId, err: error }, "fan-out still incomplete");
      }
    }
  };

  const store = async (message: OutgoingMessage, to: readonly Recipient[]): Promise<void> => {
    try {
      await publish(message, to);
    } catch (error) {
      if (message.recipients.length > 1 && unfinished.size < maxUnfinished) {
        const task = finish(message).finally(() => unfinished.delete(task));
        unfinished.add(task);
      }
      throw error;
    }
  };

  return {
    append: (message) => store(message, message.recipients),
    complete: async (message) => store(message, await unserved(nats, message)),
    async repair(copy) {
      if (copy.facts.toPositions.length < 2 || complete.has(copy.messageId)) return;
      const message = await incomplete(options, copy);
      if (message === undefined) return;
      logger.info({ messageId: copy.messageId }, "completing a partial fan-out");
      await publish(message.whole, message.missing);
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await Promise.all(unfinished);
    },
  };
}

async function publishCopy(
  { nats, facts }: FanOutOptions,
  message: OutgoingMessage,
  { partyId }: Recipient,
): Promise<void> {
  const box = { partyId, sessionId: message.sessionId };
  try {
    await nats.attempt("storing a message", () =>
      nats.js.publish(subjects.message(box, message.messageId), message.payload, {
        headers: copyHeaders(message),
        msgID: `${message.messageId}.${partyId}`,
        expect: { lastSubjectSequence: 0 },
        ttl: ttlOf(message.keepUntil - nats.clock.nowMs()),
      }),
    );
  } catch (error) {
    // The copy is there already: an earlier try was stored though its answer was lost.
    if (!isWrongLastSequence(error)) throw error;
  }
  facts.set(box, message.messageId, factsOf(message));
}

type Addressed = Pick<OutgoingMessage, "sessionId" | "messageId" | "recipients">;

/** Who has neither a copy nor a record: copies are looked at first, since one goes only after its record is there. */
async function unserved(
  nats: Nats,
  { sessionId, messageId, recipients }: Addressed,
): Promise<readonly Recipient[]> {
  const copies = await subjectsIn(nats, streams.messages, subjects.copiesOf(sessionId, messageId));
  const filter = subjects.deliveriesOf(sessionId, messageId);
  const records = await leaderMessages(nats, streams.deliveries, filter);
  const served = new Set([
    ...copies.map((subject) => parseMessageSubject(subject).partyId),
    ...records.map(({ subject }) => parseDeliverySubject(subject).partyId),
  ]);
  return recipients.filter(({ partyId }) => !served.has(partyId));
}

/** The message as it was sent and who has not been served; `undefined` when nobody is missing, or it is gone. */
async function incomplete(
  { nats, roster }: FanOutOptions,
  { box, messageId, facts }: CopyAtHand,
): Promise<{ whole: OutgoingMessage; missing: readonly Recipient[] } | undefined> {
  const parties = roster(box.sessionId);
  if (parties === undefined) return undefined;
  const recipients = facts.toPositions.flatMap((position) => {
    const partyId = parties[position];
    return partyId === undefined ? [] : [{ partyId, position }];
  });
  const { sessionId } = box;
  const missing = await unserved(nats, { sessionId, messageId, recipients });
  if (missing.length === 0) return undefined;
  const copy = await leaderMessage(nats, streams.messages, subjects.message(box, messageId));
  if (copy === undefined) return undefined;
  const { message } = decodeStored(copy);
  return { whole: { ...message, recipients, keepUntil: facts.keepUntil }, missing };
}
