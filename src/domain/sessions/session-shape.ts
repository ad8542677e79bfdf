import { RouterError } from "../errors.ts";
import { limits, requireBytes, requireId, requireWhole } from "../ids.ts";
import {
  seatOf,
  statusAt,
  type PartyRole,
  type SessionRecord,
  type SessionType,
} from "./session.ts";

/** The user's share, lent to the delegate for one signing; encrypted to that party, opaque here. */
export interface LentShare {
  readonly delegatePartyId: string;
  readonly encryptedShare: Uint8Array;
  readonly partyIndex: number;
}

/** What both ways to create a session say about it. */
export interface SessionShape {
  readonly type: SessionType;
  readonly thresholdN: number;
  readonly thresholdT: number;
  readonly messageHash: Uint8Array;
  /** Empty unless it names the session that made the key. */
  readonly keygenSessionId: string;
  readonly lentShare?: LentShare;
}

/** Refuses what no session may be, whoever its parties are. */
export function requireShape(shape: SessionShape): void {
  const { type, thresholdN, thresholdT, messageHash, keygenSessionId, lentShare } = shape;
  requireWhole("threshold_n", thresholdN, limits.partiesPerSession);
  requireWhole("threshold_t", thresholdT, { min: 1, max: thresholdN });
  if (keygenSessionId !== "") requireId("keygen_session_id", keygenSessionId);
  if (type === "sign") {
    requireBytes("message_hash", messageHash, limits.messageHashBytes);
    if (lentShare !== undefined) requireLentShare(lentShare, thresholdN);
    return;
  }
  if (messageHash.length > 0) throw onlyForSign("message_hash");
  if (keygenSessionId !== "") throw onlyForSign("keygen_session_id");
  if (lentShare !== undefined) throw onlyForSign("delegate_user_share");
}

/** Key generation is by all holders of the key, signing by at least as many as are needed. */
export function requirePartyCount(shape: SessionShape, field: string, count: number): void {
  const { type, thresholdN, thresholdT } = shape;
  const min = type === "keygen" ? thresholdN : thresholdT;
  if (count >= min && count <= thresholdN) return;
  const wanted = min === thresholdN ? `${min}` : `${min} to ${thresholdN}`;
  throw new RouterError("INVALID_FIELD", `${field} must name ${wanted} parties`);
}

export function requirePartyIds(field: string, partyIds: readonly string[]): void {
  for (const partyId of partyIds) requireId(field, partyId);
  if (new Set(partyIds).size !== partyIds.length) {
    throw new RouterError("INVALID_FIELD", `${field} must name each party once`);
  }
}

/** Refuses a keygen session that this one does not fit, or that has made no key. */
export function requireKeygen(
  keygen: SessionRecord | undefined,
  shape: SessionShape,
  nowMs: number,
): SessionRecord {
  if (keygen === undefined) {
    throw new RouterError("KEYGEN_NOT_COMPLETED", "keygen_session_id names no completed session");
  }
  if (keygen.type !== "keygen") throw invalid("keygen_session_id", "must name a keygen session");
  if (keygen.thresholdN !== shape.thresholdN || keygen.thresholdT !== shape.thresholdT) {
    throw invalid("threshold_n and threshold_t", "must be those of the keygen session");
  }
  if (statusAt(keygen, nowMs) !== "completed") {
    throw new RouterError("KEYGEN_NOT_COMPLETED", "keygen_session_id names no completed session");
  }
  return keygen;
}

export interface RosterPlan {
  readonly partyIds: readonly string[];
  readonly roleOf: (partyId: string) => PartyRole;
  readonly keygen: SessionRecord | undefined;
}

/** A place in a roster that is about to be frozen. */
export interface PlannedSeat {
  readonly partyId: string;
  readonly partyIndex: number;
  readonly role: PartyRole;
}

/** Gives each party its index: its place in the list, or the one its share of the key belongs to. */
export function plannedSeats({ partyIds, roleOf, keygen }: RosterPlan): readonly PlannedSeat[] {
  return partyIds.map((partyId, position) => {
    const role = roleOf(partyId);
    if (keygen === undefined) return { partyId, partyIndex: position, role };
    const seat = seatOf(keygen, partyId);
    if (seat === undefined) {
      throw invalid("selected_parties", `must be of the keygen session, ${partyId} is not`);
    }
    return { partyId, partyIndex: seat.partyIndex, role };
  });
}

/** The seat that the lent share goes to. Without its keygen session the index cannot be checked. */
export function lentTo(
  seats: readonly PlannedSeat[],
  lentShare: LentShare,
  keygen: SessionRecord | undefined,
): PlannedSeat {
  const seat = seats.find(({ partyId }) => partyId === lentShare.delegatePartyId);
  if (seat === undefined) {
    throw invalid("delegate_user_share.delegate_party_id", "must be a selected party");
  }
  if (keygen !== undefined && seat.partyIndex !== lentShare.partyIndex) {
    throw invalid("delegate_user_share.party_index", "must be that of the keygen session");
  }
  return seat;
}

export function requireRole(field: string, role: string): PartyRole {
  if (role === "persistent" || role === "delegate" || role === "temporary") return role;
  throw invalid(field, "must be persistent, delegate or temporary");
}

function requireLentShare(share: LentShare, thresholdN: number): void {
  requireId("delegate_user_share.delegate_party_id", share.delegatePartyId);
  requireBytes("delegate_user_share.encrypted_share", share.encryptedShare, {
    minBytes: 1,
    maxBytes: limits.encryptedShareBytes,
  });
  const range = { min: 0, max: thresholdN - 1 };
  requireWhole("delegate_user_share.party_index", share.partyIndex, range);
}

export function invalid(field: string, rule: string): RouterError {
  return new RouterError("INVALID_FIELD", `${field} ${rule}`);
}

function onlyForSign(field: string): RouterError {
  return invalid(field, "is for sign sessions only");
}
