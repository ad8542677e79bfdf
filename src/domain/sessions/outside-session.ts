import type { OutsideCreation } from "../events/session-directory.ts";
import { limits, requireBytes, requireId, requireWhole } from "../ids.ts";
import {
  invalid,
  requirePartyCount,
  requirePartyIds,
  requireShape,
  type SessionShape,
} from "./session-shape.ts";

/** A session_created that describes a session that can be. */
export interface CheckedCreation {
  readonly shape: SessionShape;
  /** Of the selected parties, and of nobody else. */
  readonly joinTokens: ReadonlyMap<string, string>;
  /** Unix milliseconds; `undefined`: the default applies. */
  readonly expiresAt: number | undefined;
}

/** Everything that can be refused without looking anything up. */
export function checkedCreation(creation: OutsideCreation, nowMs: number): CheckedCreation {
  const { selectedParties, delegateUserShare } = creation;
  requireId("session_id", creation.sessionId);
  requireId("event_id", creation.eventId);
  const shape: SessionShape = {
    type: creation.messageHash.length > 0 ? "sign" : "keygen",
    thresholdN: creation.thresholdN,
    thresholdT: creation.thresholdT,
    messageHash: creation.messageHash,
    keygenSessionId: creation.keygenSessionId,
    ...(delegateUserShare === undefined ? {} : { lentShare: delegateUserShare }),
  };
  requireShape(shape);
  requirePartyIds("selected_parties", selectedParties);
  requirePartyCount(shape, "selected_parties", selectedParties.length);
  const joinTokens = new Map(
    selectedParties.map((partyId) => [partyId, requireToken(creation, partyId)]),
  );
  const expiresAt = creation.expiresAt === 0 ? undefined : requireLifetime(creation, nowMs);
  return { shape, joinTokens, expiresAt };
}

/** A lifetime counts from the event's time, which may be a moment ago. */
function requireLifetime({ createdAt, expiresAt }: OutsideCreation, nowMs: number): number {
  const since = Math.min(createdAt, nowMs);
  requireWhole("expires_at less created_at", expiresAt - since, limits.sessionTtlMs);
  if (expiresAt <= nowMs) throw invalid("expires_at", "must be in the future");
  return expiresAt;
}

function requireToken({ joinTokens }: OutsideCreation, partyId: string): string {
  const token = joinTokens.get(partyId) ?? "";
  const size = { minBytes: 1, maxBytes: limits.joinTokenBytes };
  requireBytes(`join_tokens of party ${partyId}`, Buffer.from(token), size);
  return token;
}
