import { RouterError } from "../errors.ts";
import { limits, requireBytes, requireId, requireText, requireWhole } from "../ids.ts";
import type { OutsideCreation } from "./session-directory.ts";

/** An event as an outside coordinator publishes it; `eventId` may be empty and `createdAt` 0, to be filled in. */
export type EventPublication = Omit<OutsideCreation, "contentHash" | "createdBy"> & {
  readonly eventType: string;
};

/** The contract's thresholds are 32-bit numbers; what they may be in a session is checked where it is made. */
const thresholds = { min: 0, max: 2 ** 31 - 1 };
const timestamps = { min: 0, max: Number.MAX_SAFE_INTEGER };

/** Refuses what no event may contain, whatever its type. */
export function requirePublication(event: EventPublication): void {
  if (event.eventId !== "") requireId("event.event_id", event.eventId);
  requireId("event.event_type", event.eventType);
  requireId("event.session_id", event.sessionId);
  if (event.keygenSessionId !== "") requireId("Keygen-Session-Id", event.keygenSessionId);
  requireWhole("event.threshold_n", event.thresholdN, thresholds);
  requireWhole("event.threshold_t", event.thresholdT, thresholds);
  requireWhole("event.created_at", event.createdAt, timestamps);
  requireWhole("event.expires_at", event.expiresAt, timestamps);
  if (event.messageHash.length > 0) {
    requireBytes("event.message_hash", event.messageHash, limits.messageHashBytes);
  }
  requireParties(event.selectedParties);
  requireTokens(event.joinTokens);
  const share = event.delegateUserShare;
  if (share === undefined) return;
  requireId("event.delegate_user_share.delegate_party_id", share.delegatePartyId);
  requireBytes("event.delegate_user_share.encrypted_share", share.encryptedShare, {
    minBytes: 0,
    maxBytes: limits.encryptedShareBytes,
  });
}

function requireParties(selectedParties: readonly string[]): void {
  const { max } = limits.partiesPerSession;
  if (selectedParties.length > max) {
    throw new RouterError("INVALID_FIELD", `event.selected_parties must be at most ${max}`);
  }
  for (const partyId of selectedParties) requireId("event.selected_parties", partyId);
}

function requireTokens(joinTokens: ReadonlyMap<string, string>): void {
  for (const [partyId, token] of joinTokens) {
    requireId("event.join_tokens", partyId);
    requireText("event.join_tokens", token, limits.joinTokenBytes);
  }
}
