import { BoundedMap } from "../../domain/bounded-map.ts";
import { brokerUnavailable, isRouterError, storeFull } from "../../domain/errors.ts";
import type { MessageFacts, OutgoingMessage, Recipient } from "../../domain/messages/message.ts";
import { factsOf } from "../../domain/messages/routing.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { ttlOf } from "../bucket.ts";
import type { Nats } from "../connection.ts";
import { isWrongLastSequence } from "../errors.ts";
import { readDeliveries } from "./delivery-summary.ts";
import type { FactsCache } from "./facts-cache.ts";
import { copyHeaders, decodeStored } from "./message-codec.ts";
import { leaderMessage, subjectsIn } from "../reading.ts";
import type { StoreRoom } from "../store-room.ts";
import { parseMessageSubject, streams, subjects } from "../subjects.ts";
import { createUnfinished } from "./unfinished.ts";

/** Fan-outs that are known to be complete. */
const maxComplete = 20_000;
/** Of one message, about this much is on its way to the store at once, in bytes. */
const maxBytesInFlight = 16_777_216;
/** What a copy takes beside its payload, about, in bytes. */
const headerBytes = 1_024;

export interface FanOut extends AsyncDisposable {
  append(message: OutgoingMessage): Promise<void>;
  complete(message: OutgoingMessage): Promise<void>;
  /** Completes a message of which only copies are at hand. Cheap where it is known that nothing is missing. */
  repair(message: StoredMessage): Promise<void>;
}

/** A message of which at least one copy was stored once. */
export interface StoredMessage {
  readonly sessionId: string;
  readonly messageId: string;
  readonly facts: MessageFacts;
}

export interface FanOutOptions {
  readonly nats: Nats;
  readonly facts: FactsCache;
  readonly logger: Logger;
  readonly room: StoreRoom;
  /** Party ids of a session in roster order; `undefined` when the session is not known any more. */
  readonly roster: (sessionId: string) => Promise<readonly string[] | undefined>;
}

/**
 * Stores a message once per recipient. What is stored is never withdrawn, since a recipient may have processed it; so
 * a fan-out that was cut short is completed.
 */
export function createFanOut(options: FanOutOptions): FanOut {
  const { nats, logger, room, roster } = options;
  const complete = new BoundedMap<string, true>(maxComplete);

  const publish = async (message: OutgoingMessage, to: readonly Recipient[]): Promise<void> => {
    await publishCopies(options, message, to);
    complete.set(message.messageId, true);
  };

  const finish = async (message: Addressed): Promise<void> => {
    const { copies, missing } = await served(nats, message);
    if (missing.length > 0) {
      const whole = await copyOf(nats, message, copies);
      // Nobody has it: the caller was told that the outcome is unknown, and sends it again if it still matters.
      if (whole === undefined) return;
      logger.info({ messageId: message.messageId }, "completing a partial fan-out");
      await publish(whole, missing);
    }
    complete.set(message.messageId, true);
  };

  const unfinished = createUnfinished<Addressed>({
    logger,
    async finish(message) {
      if (nats.clock.nowMs() < message.facts.keepUntil) await finish(message);
    },
  });

  const store = async (message: OutgoingMessage, to: readonly Recipient[]): Promise<void> => {
    const { sessionId, messageId, recipients, payload } = message;
    const isNew = to.length === recipients.length;
    // What somebody has already is completed as long as the store takes it.
    if (isNew && !room.take(to.length * (payload.length + headerBytes))) throw storeFull();
    try {
      await publish(message, to);
    } catch (error) {
      const isFull = isRouterError(error, "STORE_FULL");
      if (isFull && isNew) throw error;
      if (recipients.length > 1) {
        const facts = factsOf(message);
        unfinished.add(messageId, { sessionId, messageId, recipients, facts });
      }
      throw isFull ? brokerUnavailable("storing a message", error) : error;
    }
  };

  return {
    append: (message) => store(message, message.recipients),
    complete: async (message) => store(message, (await served(nats, message)).missing),
    async repair({ sessionId, messageId, facts }) {
      if (facts.toPositions.length < 2 || complete.has(messageId)) return;
      const parties = await roster(sessionId);
      if (parties === undefined) return;
      const recipients = facts.toPositions.flatMap((position) => {
        const partyId = parties[position];
        return partyId === undefined ? [] : [{ partyId, position }];
      });
      await finish({ sessionId, messageId, recipients, facts });
    },
    [Symbol.asyncDispose]: () => unfinished[Symbol.asyncDispose](),
  };
}

/** STORE_FULL where it is sure that no copy was stored. */
async function publishCopies(
  options: FanOutOptions,
  message: OutgoingMessage,
  to: readonly Recipient[],
): Promise<void> {
  const atOnce = Math.max(1, Math.floor(maxBytesInFlight / (message.payload.length + 1)));
  for (let start = 0; start < to.length; start += atOnce) {
    const part = to.slice(start, start + atOnce);
    const results = await Promise.allSettled(part.map((one) => publishCopy(options, message, one)));
    const failures = results.filter((result) => result.status === "rejected");
    const [first] = failures;
    if (first === undefined) continue;
    const worst = failures.find(({ reason }) => !isRouterError(reason, "STORE_FULL"));
    if (worst !== undefined) throw worst.reason;
    if (start === 0 && failures.length === part.length) throw first.reason;
    throw brokerUnavailable("storing a message", first.reason);
  }
}

async function publishCopy(
  { nats, facts }: FanOutOptions,
  message: OutgoingMessage,
  { partyId }: Recipient,
): Promise<void> {
  const box = { partyId, sessionId: message.sessionId };
  try {
    await nats.attempt(
      "storing a message",
      () =>
        nats.js.publish(subjects.message(box, message.messageId), message.payload, {
          headers: copyHeaders(message),
          msgID: `${message.messageId}.${partyId}`,
          expect: { lastSubjectSequence: 0 },
          ttl: ttlOf(message.keepUntil - nats.clock.nowMs()),
        }),
      { endsWhenFull: true },
    );
  } catch (error) {
    // The copy is there already: an earlier try was stored though its answer was lost.
    if (!isWrongLastSequence(error)) throw error;
  }
  facts.set(box, message.messageId, factsOf(message));
}

interface Addressed extends StoredMessage {
  readonly recipients: readonly Recipient[];
}

interface Served {
  /** Subjects of the copies that are there. */
  readonly copies: readonly string[];
  /** Who has neither a copy nor a record. */
  readonly missing: readonly Recipient[];
}

/** Copies are looked at first, since one goes only after its record is there. */
async function served(
  nats: Nats,
  { sessionId, messageId, recipients }: Omit<Addressed, "facts">,
): Promise<Served> {
  const copies = await subjectsIn(nats, streams.messages, subjects.copiesOf(sessionId, messageId));
  const filter = subjects.deliveriesOf(sessionId, messageId);
  const records = (await readDeliveries(nats, sessionId, [filter])).get(messageId);
  const parties = new Set([
    ...copies.map((subject) => parseMessageSubject(subject).partyId),
    ...(records?.byParty.keys() ?? []),
  ]);
  return { copies, missing: recipients.filter(({ partyId }) => !parties.has(partyId)) };
}

/** The message as it was sent, from one of its copies; `undefined` when there is none. */
async function copyOf(
  nats: Nats,
  { recipients, facts }: Addressed,
  [subject]: readonly string[],
): Promise<OutgoingMessage | undefined> {
  if (subject === undefined) return undefined;
  const copy = await leaderMessage(nats, streams.messages, subject);
  // Whoever deleted it has completed the message before.
  if (copy === undefined) throw new Error("the copy was deleted meanwhile");
  return { ...decodeStored(copy).message, recipients, keepUntil: facts.keepUntil };
}
