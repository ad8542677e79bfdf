import type { Caller } from "../caller.ts";
import type { Clock } from "../clock.ts";
import { requireId } from "../ids.ts";
import { judgeSession, seatIn, visible } from "../sessions/session-access.ts";
import type { SessionStore } from "../sessions/session-ports.ts";
import { endedAt } from "../sessions/session.ts";
import { messageNotFound } from "./acknowledging.ts";
import { deliveryRow, type DeliveryRow } from "./delivery-rules.ts";
import type { MessageStore } from "./message-ports.ts";
import { noRecords } from "./message.ts";

export interface StatusOptions {
  readonly sessions: SessionStore;
  readonly store: MessageStore;
  readonly clock: Clock;
}

interface StatusRequest {
  readonly sessionId: string;
  readonly messageId: string;
}

interface MessageStatus {
  /** In roster order: all for the sender and the coordinator, a recipient's own for itself. */
  readonly rows: readonly DeliveryRow[];
  /** Of all recipients, whoever asks. */
  readonly allAcknowledged: boolean;
}

export type GetMessageStatus = (caller: Caller, request: StatusRequest) => Promise<MessageStatus>;

export function createStatusReading(options: StatusOptions): GetMessageStatus {
  return async (caller, request) => {
    const messageId = requireId("message_id", request.messageId);
    const sessionId = requireId("session_id", request.sessionId);
    const nowMs = options.clock.nowMs();
    const record = await judgeSession(options.sessions, sessionId, (found) =>
      caller.kind === "party" ? seatIn(found, caller.partyId, nowMs).record : visible(found, nowMs),
    );
    const trace = await options.store.trace(sessionId, messageId);
    if (trace === undefined) throw messageNotFound();
    const isEnded = endedAt(record, nowMs) > 0;
    const rows = trace.facts.toPositions.flatMap((position) => {
      const partyId = record.parties[position]?.partyId;
      if (partyId === undefined) return [];
      return [deliveryRow(partyId, trace.records.get(partyId) ?? noRecords, isEnded)];
    });
    const allAcknowledged = rows.every(({ status }) => status === "acknowledged");
    if (caller.kind !== "party" || caller.partyId === trace.facts.fromParty) {
      return { rows, allAcknowledged };
    }
    const own = rows.filter(({ partyId }) => partyId === caller.partyId);
    if (own.length === 0) throw messageNotFound();
    return { rows: own, allAcknowledged };
  };
}
