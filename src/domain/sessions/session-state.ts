import { RouterError } from "../errors.ts";
import { requireLive, seatIn } from "./session-access.ts";
import { decided, failed, lostShare, withSeat } from "./session-changes.ts";
import {
  hasJoined,
  isTerminal,
  statusAt,
  type DeviceInfo,
  type SessionParty,
  type SessionRecord,
  type Transition,
} from "./session.ts";

/**
 * The moves of a session. Each takes the record as it stands and gives the new one, or refuses. What was done before
 * gives back the very same record: there is nothing to write.
 */

export interface Joining {
  readonly partyId: string;
  readonly deviceInfo: DeviceInfo;
}

/** The caller's token has been checked. A party that comes back may do so from another device. */
export function joined(record: SessionRecord, joining: Joining, nowMs: number): SessionRecord {
  const { partyId, deviceInfo } = joining;
  const { party } = seatIn(record, partyId, nowMs);
  requireLive(record, nowMs);
  if (!hasJoined(party)) {
    const change = { state: "joined", deviceInfo, updatedAt: nowMs } as const;
    return decided(record, { parties: withSeat(record, partyId, change) }, [
      { type: "party_joined", at: nowMs, partyIndex: party.partyIndex },
    ]);
  }
  if (isSameDevice(party.deviceInfo, deviceInfo)) return record;
  return { ...record, parties: withSeat(record, partyId, { deviceInfo }) };
}

/** The last one to be ready starts the session. */
export function markedReady(record: SessionRecord, partyId: string, nowMs: number): SessionRecord {
  const { party } = seatIn(record, partyId, nowMs);
  requireLive(record, nowMs);
  requireJoinedSeat(party);
  if (party.state !== "joined") return record;
  const parties = withSeat(record, partyId, { state: "ready", updatedAt: nowMs });
  const ready: Transition = { type: "party_ready", at: nowMs, partyIndex: party.partyIndex };
  // An outside coordinator may have started it before everybody was ready; it starts once.
  if (record.status !== "created" || !areAllReady(parties)) {
    return decided(record, { parties }, [ready]);
  }
  const started: Transition = { type: "session_started", at: nowMs };
  return decided(record, { parties, status: "in_progress" }, [ready, started]);
}

/** Ends a session that has not ended; a failed one stays as it is. */
export function cancelled(record: SessionRecord, reason: string, nowMs: number): SessionRecord {
  if (record.status === "failed") return record;
  requireLive(record, nowMs);
  return failed(record, { nowMs, word: "cancelled", reason: reason === "" ? "cancelled" : reason });
}

/** Writes down that the time is over, as of the moment when it was; before that moment, nothing. */
export function expired(record: SessionRecord, nowMs: number): SessionRecord {
  if (isTerminal(record.status) || statusAt(record, nowMs) !== "expired") return record;
  const at = record.expiresAt;
  return decided(
    record,
    { status: "expired", endedAt: at, delegateShare: lostShare(record.delegateShare) },
    [{ type: "session_expired", at }],
  );
}

export function areAllReady(parties: readonly SessionParty[]): boolean {
  return parties.every((party) => party.state === "ready" || party.state === "completed");
}

export function requireJoinedSeat(party: SessionParty): void {
  if (!hasJoined(party)) {
    throw new RouterError("NOT_JOINED", `party ${party.partyId} has not joined the session`);
  }
}

/** Refuses a session that has not started, or has ended. */
export function requireInProgress(record: SessionRecord, nowMs: number): void {
  requireLive(record, nowMs);
  if (record.status !== "in_progress") {
    throw new RouterError("SESSION_NOT_IN_PROGRESS", `session ${record.sessionId} has not started`);
  }
}

export function isSameDevice(
  known: DeviceInfo | undefined,
  given: DeviceInfo | undefined,
): boolean {
  if (known === undefined || given === undefined) return known === given;
  return (
    known.deviceType === given.deviceType &&
    known.deviceId === given.deviceId &&
    known.platform === given.platform &&
    known.appVersion === given.appVersion
  );
}
