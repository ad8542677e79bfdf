import { actingParty, type Caller } from "../caller.ts";
import type { Clock } from "../clock.ts";
import { RouterError } from "../errors.ts";
import { messageFailedEvent, type SessionEvent } from "../events/session-event.ts";
import { limits, requireId, requireText } from "../ids.ts";
import { judgeSession, seatIn, type Seat } from "../sessions/session-access.ts";
import type { SessionStore } from "../sessions/session-ports.ts";
import { endedAt } from "../sessions/session.ts";
import {
  decideRefusal,
  isDeliveredSinceRefusal,
  isSettled,
  type RefusalRules,
} from "./delivery-rules.ts";
import type { DeliveryKey, DeliveryLog, KnownDelivery, MessageStore } from "./message-ports.ts";
import { noRecords, type DeliveryRecords } from "./message.ts";

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
    const known =
      (request.success
        ? await options.log.glance(box, messageId)
        : await options.log.read(box, messageId)) ??
      (await withoutCopy(options.store, seat, messageId));
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
  // With the session's end the message has failed, of which nobody is told.
  if (endedAt(seat.record, atMs) > 0) return outcomeOf(known.records);
  const decision = decideRefusal(known.records, error, options.rules);
  switch (decision.kind) {
    case "ignore":
      return outcomeOf(known.records);
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

/** What a refusal that changes nothing finds. */
function outcomeOf(records: DeliveryRecords): AcknowledgeOutcome {
  if (records.acknowledgedAt !== undefined) return "already acknowledged";
  return records.failed === undefined ? "refused" : "failed";
}

/**
 * A recipient may have neither copy nor record: its copy is still to come, or the record was lost with the broker. Anybody
 * else is refused, with the reason why.
 */
async function withoutCopy(
  store: MessageStore,
  { record, party }: Seat,
  messageId: string,
): Promise<KnownDelivery> {
  const trace = await store.trace(record.sessionId, messageId);
  if (trace === undefined) throw messageNotFound();
  const position = record.parties.findIndex(({ partyId }) => partyId === party.partyId);
  if (!trace.facts.toPositions.includes(position)) {
    throw new RouterError("NOT_A_RECIPIENT", "the party is not a recipient of this message");
  }
  return { facts: trace.facts, records: trace.records.get(party.partyId) ?? noRecords };
}

export function messageNotFound(): RouterError {
  return new RouterError("MESSAGE_NOT_FOUND", "message_id names no message of this session");
}
