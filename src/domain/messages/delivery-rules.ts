import type { DeliveryRecords } from "./message.ts";

type DeliveryStatus = "pending" | "delivered" | "acknowledged" | "failed";

/** Opens an error text that makes a message fail at once, without another delivery. */
const permanentPrefix = "permanent:";

export interface DeliveryRow {
  readonly partyId: string;
  readonly status: DeliveryStatus;
  /** Unix milliseconds of the first delivery or of the acknowledgement, whichever was first; 0 when neither was. */
  readonly deliveredAt: number;
  /** Unix milliseconds; 0 while not acknowledged. */
  readonly acknowledgedAt: number;
  /** Deliveries after the first. */
  readonly retryCount: number;
}

/** Acknowledged beats failed beats delivered; what was open when the session ended counts as failed. */
export function deliveryRow(
  partyId: string,
  records: DeliveryRecords,
  sessionEnded: boolean,
): DeliveryRow {
  const acknowledgedAt = records.acknowledgedAt ?? 0;
  const firstAt = records.delivered?.firstAt ?? 0;
  return {
    partyId,
    status: deliveryStatus(records, sessionEnded),
    deliveredAt:
      acknowledgedAt > 0 && (firstAt === 0 || acknowledgedAt < firstAt) ? acknowledgedAt : firstAt,
    acknowledgedAt,
    retryCount: Math.max(0, (records.delivered?.count ?? 0) - 1),
  };
}

function deliveryStatus(records: DeliveryRecords, sessionEnded: boolean): DeliveryStatus {
  if (records.acknowledgedAt !== undefined) return "acknowledged";
  if (records.failed !== undefined || sessionEnded) return "failed";
  return records.delivered === undefined ? "pending" : "delivered";
}

/** No longer pending: acknowledged, or failed for good. */
export function isSettled(records: DeliveryRecords): boolean {
  return records.acknowledgedAt !== undefined || records.failed !== undefined;
}

/** Given out since it was last refused, so that a refusal counts now; also: the next poll is a delivery of its own. */
export function isDeliveredSinceRefusal(records: DeliveryRecords): boolean {
  return records.delivered !== undefined && records.delivered.sequence > records.refusalSequence;
}

/** What a refusal does. */
export type RefusalDecision =
  | { readonly kind: "ignore" }
  | { readonly kind: "fail" }
  | { readonly kind: "redeliver"; readonly number: number; readonly afterMs: number };

export interface RefusalRules {
  /** Refusals that make a message fail. */
  readonly maxRefusals: number;
  /** No redelivery waits longer than this, in milliseconds. */
  readonly ackWaitMs: number;
}

/** A refusal counts once per delivery; the last allowed one, or a permanent one, makes the message fail. */
export function decideRefusal(
  records: DeliveryRecords,
  error: string,
  rules: RefusalRules,
): RefusalDecision {
  if (isSettled(records)) return { kind: "ignore" };
  if (error.startsWith(permanentPrefix)) return { kind: "fail" };
  if (!isDeliveredSinceRefusal(records)) return { kind: "ignore" };
  const number = records.refusalCount + 1;
  if (number >= rules.maxRefusals) return { kind: "fail" };
  return { kind: "redeliver", number, afterMs: redeliveryDelayMs(number, rules.ackWaitMs) };
}

/** 1, 2, 4, … seconds, never more than the ack wait. */
export function redeliveryDelayMs(refusalNumber: number, ackWaitMs: number): number {
  return Math.min(ackWaitMs, 1_000 * 2 ** Math.min(refusalNumber - 1, 30));
}
