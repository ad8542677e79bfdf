import { createHash } from "node:crypto";
import { limits, requireBytes, requireId, requireWhole } from "../ids.ts";
import type { RoleCount } from "./party-selection.ts";
import {
  invalid,
  requirePartyCount,
  requirePartyIds,
  requireRole,
  requireShape,
  type LentShare,
  type PlannedSeat,
  type SessionShape,
} from "./session-shape.ts";
import type { SessionType } from "./session.ts";

/** What CreateSession says; empty where optional. */
export interface CreateRequest {
  readonly requestId: string;
  readonly sessionType: string;
  readonly thresholdN: number;
  readonly thresholdT: number;
  readonly selectedParties: readonly string[];
  readonly roleCounts: readonly { readonly role: string; readonly count: number }[];
  readonly messageHash: Uint8Array;
  /** 0: the default. */
  readonly expiresInMs: number;
  readonly keygenSessionId: string;
  readonly lentShare?: LentShare;
  readonly userPublicKey: Uint8Array;
}

/** A request that asks for a session that can be. */
export interface CheckedRequest {
  readonly requestId: string;
  readonly shape: SessionShape;
  /** Either names or counts. */
  readonly selectedParties: readonly string[];
  readonly roleCounts: readonly RoleCount[];
  readonly expiresInMs: number;
  readonly userPublicKey?: Uint8Array;
}

/** Everything that can be refused without looking anything up. */
export function checkedRequest(request: CreateRequest): CheckedRequest {
  const { requestId, expiresInMs, selectedParties, userPublicKey } = request;
  if (requestId !== "") requireId("request_id", requestId);
  const shape: SessionShape = {
    type: requireType(request.sessionType),
    thresholdN: request.thresholdN,
    thresholdT: request.thresholdT,
    messageHash: request.messageHash,
    keygenSessionId: request.keygenSessionId,
    ...(request.lentShare === undefined ? {} : { lentShare: request.lentShare }),
  };
  requireShape(shape);
  if (expiresInMs !== 0) requireWhole("expires_in_ms", expiresInMs, limits.sessionTtlMs);
  requirePartyIds("selected_parties", selectedParties);
  const roleCounts = requireRoleCounts(request.roleCounts, shape);
  if ((selectedParties.length === 0) === (roleCounts.length === 0)) {
    throw invalid("selected_parties or role_counts", "must be given, and not both");
  }
  if (selectedParties.length > 0) {
    requirePartyCount(shape, "selected_parties", selectedParties.length);
  }
  const checked = { requestId, shape, selectedParties, roleCounts, expiresInMs };
  if (userPublicKey.length === 0) return checked;
  if (shape.type !== "keygen") throw invalid("user_public_key", "is for keygen sessions only");
  requireBytes("user_public_key", userPublicKey, limits.resultBytes);
  return { ...checked, userPublicKey };
}

/** Tells a repeat from another request under the same id. */
export function requestHashOf(request: CreateRequest): string {
  const { lentShare } = request;
  const content = [
    request.sessionType,
    request.thresholdN,
    request.thresholdT,
    request.selectedParties,
    request.roleCounts.map(({ role, count }) => [role, count]),
    base64(request.messageHash),
    request.expiresInMs,
    request.keygenSessionId,
    lentShare === undefined
      ? []
      : [lentShare.delegatePartyId, lentShare.partyIndex, base64(lentShare.encryptedShare)],
    base64(request.userPublicKey),
  ];
  return createHash("sha256").update(JSON.stringify(content)).digest("hex");
}

/** The id of a session that a request with an id makes: a repeat, on whatever instance, finds the same session. */
export function sessionIdFor(requestId: string): string {
  const hash = createHash("sha256").update(`create-session/${requestId}`).digest("hex");
  return `ses_${hash.slice(0, 32)}`;
}

/** The user's share can reach the user by one delegate only. */
export function requireOneDelegate(seats: readonly PlannedSeat[]): void {
  if (seats.filter((seat) => seat.role === "delegate").length !== 1) {
    throw invalid("user_public_key", "needs exactly one party of role delegate in the session");
  }
}

function requireType(type: string): SessionType {
  if (type === "keygen" || type === "sign") return type;
  throw invalid("session_type", "must be keygen or sign");
}

function requireRoleCounts(
  counts: CreateRequest["roleCounts"],
  shape: SessionShape,
): readonly RoleCount[] {
  if (counts.length === 0) return [];
  const checked = counts.map(({ role, count }) => ({
    role: requireRole("role_counts.role", role),
    count: requireWhole("role_counts.count", count, { min: 1, max: shape.thresholdN }),
  }));
  if (new Set(checked.map(({ role }) => role)).size !== checked.length) {
    throw invalid("role_counts", "must name each role once");
  }
  if (shape.type === "sign" && shape.keygenSessionId === "") {
    throw invalid("role_counts", "need keygen_session_id in a sign session");
  }
  const total = checked.reduce((sum, { count }) => sum + count, 0);
  requirePartyCount(shape, "role_counts", total);
  return checked;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
