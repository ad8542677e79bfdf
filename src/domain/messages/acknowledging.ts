import { actingParty, type Caller } from "../caller.ts";
import type { Clock } from "../clock.ts";
import { RouterError } from "../errors.ts";
import { messageFailedEvent, type SessionEvent } from "../events/session-event.ts";
import { limits, requireId, requireText } from "../ids.ts";
import { judgeSession, seatIn, type Seat } from "../sessions/session-access.ts";
import type { SessionStore } from "../sessions/session-ports.ts";
import {
  decideRefusal,
  isDeliveredSinceRefusal,
  isSettled,
  type RefusalRules,
} from "./delivery-rules.ts";
import type { DeliveryKey, DeliveryLog, KnownDelivery, MessageStore } from "./message-ports.ts";

interface AcknowledgeRequest {
  readonly messageId: string;
  readonly partyId: string;
  readonly sessionId: string;
  /** True: processed. False: refused, to be delivered again. */
  readonly success: boolean;
  /** Why it was refused. */
  readonly errorMessage: string;
}

export interface AcknowledgingOptions {
  readonly sessions: SessionStore;
  readonly store: MessageStore;
  readonly log: DeliveryLog;
  /** Stores an event, once; used when a message has failed for good. */
  readonly publish: (event: SessionEvent) => Promise<void>;
  readonly clock: Clock;
  readonly rules: RefusalRules;
}

/** What an acknowledgement did; the words of the answer. */
type AcknowledgeOutcome = "acknowledged" | "already acknowledged" | "refused" | "failed";

export type AcknowledgeMessage = (
  caller: Caller,
  request: AcknowledgeRequest,
) => Promise<AcknowledgeOutcome>;

export function createAcknowledging(options: AcknowledgingOptions): AcknowledgeMessage {
  return async (caller, request) => {
    const messageId = requireId("message_id", request.messageId);
    const partyId = actingParty(caller, requireId("party_id", request.partyId));
    const sessionId = requireId("session_id", request.sessionId);
    requireText("error_message", request.errorMessage, limits.errorMessageBytes);
    const nowMs = options.clock.nowMs();
    const seat = await judgeSession(options.sessions, sessionId, (found) =>
      seatIn(found, partyId, nowMs),
    );
    const box = { partyId, sessionId };
    const known = request.success
      ? await options.log.glance(box, messageId)
      : await options.log.read(box, messageId);
    if (known === undefined) throw await notTheirs(options.store, sessionId, messageId);
    const delivery = { box, messageId, facts: known.facts };
    if (!request.success) {
      const current = await whenRecorded(options.log, delivery, known);
      return refuse(options, { seat, delivery, known: current, error: request.errorMessage });
    }
    const isNew = await options.log.acknowledge(delivery, nowMs);
    return isNew ? "acknowledged" : "already acknowledged";
  };
}

/** A refusal may be faster than the record of the delivery it refers to; how long that is waited for, in milliseconds. */
const recordPatienceMs = [2, 10, 40];

async function whenRecorded(
  log: DeliveryLog,
  { box, messageId }: DeliveryKey,
  first: KnownDelivery,
): Promise<KnownDelivery> {
  let known = first;
  for (const delayMs of recordPatienceMs) {
    if (isSettled(known.records) || isDeliveredSinceRefusal(known.records)) break;
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    known = (await log.read(box, messageId)) ?? known;
  }
  return known;
}

interface RefusedDelivery {
  readonly seat: Seat;
  readonly delivery: DeliveryKey;
  readonly known: KnownDelivery;
  readonly error: string;
}

async function refuse(
  options: AcknowledgingOptions,
  { seat, delivery, known, error }: RefusedDelivery,
): Promise<AcknowledgeOutcome> {
  const atMs = options.clock.nowMs();
  const decision = decideRefusal(known.records, error, options.rules);
  switch (decision.kind) {
    case "ignore":
      return known.records.acknowledgedAt === undefined ? "refused" : "already acknowledged";
    case "redeliver":
      await options.log.refuse(delivery, {
        number: decision.number,
        atMs,
        error,
        redeliverAfterMs: decision.afterMs,
      });
      return "refused";
    case "fail":
      await options.log.fail(delivery, { atMs, error });
      await options.publish(
        messageFailedEvent(seat.record, {
          messageId: delivery.messageId,
          fromParty: delivery.facts.fromParty,
          partyIndex: seat.party.partyIndex,
          at: atMs,
        }),
      );
      return "failed";
  }
}

/** Tells a message that is somebody else's from one that is not there. */
async function notTheirs(
  store: MessageStore,
  sessionId: string,
  messageId: string,
): Promise<RouterError> {
  const trace = await store.trace(sessionId, messageId);
  return trace === undefined
    ? messageNotFound()
    : new RouterError("NOT_A_RECIPIENT", "the party is not a recipient of this message");
}

export function messageNotFound(): RouterError {
  return new RouterError("MESSAGE_NOT_FOUND", "message_id names no message of this session");
}
