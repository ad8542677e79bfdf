import { createHash } from "node:crypto";
import { actingParty, type Caller } from "../caller.ts";
import type { Clock } from "../clock.ts";
import { RouterError } from "../errors.ts";
import { limits, requireBytes, requireId, requireText } from "../ids.ts";
import type { PartyStore } from "../parties/party.ts";
import type { Vault } from "../secrets/vault.ts";
import { liveOrKept } from "./control-plane.ts";
import { submitted } from "./delegate-share.ts";
import { joinRefusal } from "./join-guard.ts";
import type { JoinTokens } from "./join-tokens.ts";
import { requireLive, seatIn, sessionNotFound, visible, type Seat } from "./session-access.ts";
import { disagreementOf, reported, type Report } from "./session-completion.ts";
import type { JoinMissCounter, SessionStore } from "./session-ports.ts";
import { secretId } from "./session-secrets.ts";
import { joined, markedReady } from "./session-state.ts";
import { asOf } from "./session-view.ts";
import type { SessionWriter } from "./session-writer.ts";
import { seatOf, type DeviceInfo, type SessionRecord } from "./session.ts";

/** What the parties of a session do with it. */
export interface SessionOperations {
  /** Resolves with the session and the caller's seat in it. */
  join(caller: Caller, request: JoinRequest): Promise<Seat>;
  /** Resolves with the session as it is after the call, as do the others. */
  markReady(caller: Caller, named: NamedSeat): Promise<SessionRecord>;
  reportCompletion(caller: Caller, report: CompletionReport): Promise<SessionRecord>;
  getStatus(caller: Caller, sessionId: string): Promise<SessionRecord>;
  submitDelegateShare(caller: Caller, share: SubmittedShare): Promise<void>;
}

/** A session and the party that calls, as the request names them. */
interface NamedSeat {
  readonly sessionId: string;
  readonly partyId: string;
}

interface JoinRequest extends NamedSeat {
  readonly joinToken: string;
  readonly deviceInfo: DeviceInfo;
}

interface CompletionReport extends NamedSeat, Report {}

interface SubmittedShare extends NamedSeat {
  readonly encryptedShare: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly partyIndex: number;
}

export interface SessionOperationsOptions {
  readonly sessions: SessionStore;
  readonly parties: Pick<PartyStore, "read">;
  readonly joinMisses: JoinMissCounter;
  readonly writer: SessionWriter;
  readonly tokens: JoinTokens;
  readonly vault: Vault;
  readonly clock: Clock;
}

export function createSessionOperations(options: SessionOperationsOptions): SessionOperations {
  const { writer, sessions, clock } = options;
  return {
    async join(caller, request) {
      const { joinToken, deviceInfo } = request;
      const seat = actingSeat(caller, request);
      requireText("join_token", joinToken, limits.joinTokenBytes);
      requireDeviceInfo(deviceInfo);
      await admit(seat, joinToken, options);
      const { sessionId, partyId } = seat;
      const record = await writer.change(sessionId, (found, nowMs) =>
        joined(found, { partyId, deviceInfo }, nowMs),
      );
      return seatIn(record, partyId, clock.nowMs());
    },
    async markReady(caller, named) {
      const { sessionId, partyId } = actingSeat(caller, named);
      return writer.change(sessionId, (found, nowMs) => markedReady(found, partyId, nowMs));
    },
    async reportCompletion(caller, report) {
      const { sessionId, partyId } = actingSeat(caller, report);
      const record = await writer.change(sessionId, (found, nowMs) =>
        reported(found, report, nowMs),
      );
      const disagreement = disagreementOf(record, partyId);
      if (disagreement === undefined) return record;
      throw new RouterError(disagreement, "another party has reported another result");
    },
    async getStatus(caller, sessionId) {
      requireId("session_id", sessionId);
      const { record } = await liveOrKept(sessions, sessionId, clock.nowMs());
      if (caller.kind === "party" && seatOf(record, caller.partyId) === undefined) {
        throw sessionNotFound();
      }
      return asOf(record, clock.nowMs());
    },
    async submitDelegateShare(caller, share) {
      actingSeat(caller, share);
      requireBytes("encrypted_share", share.encryptedShare, {
        minBytes: 1,
        maxBytes: limits.encryptedShareBytes,
      });
      requireBytes("public_key", share.publicKey, limits.resultBytes);
      await submitShare(share, options);
    },
  };
}

function actingSeat(caller: Caller, named: NamedSeat): NamedSeat {
  const sessionId = requireId("session_id", named.sessionId);
  const partyId = actingParty(caller, requireId("party_id", named.partyId));
  return { sessionId, partyId };
}

/** The right token passes always; a wrong one is counted, and a caller with too many of them has to wait. */
async function admit(
  { sessionId, partyId }: NamedSeat,
  joinToken: string,
  { sessions, parties, tokens, joinMisses, clock }: SessionOperationsOptions,
): Promise<void> {
  const live = async (): Promise<SessionRecord> => {
    const nowMs = clock.nowMs();
    const record = visible((await sessions.read(sessionId))?.record, nowMs);
    requireLive(record, nowMs);
    return record;
  };
  if (!(await tokens.admits(await live(), partyId, joinToken))) {
    // The end of a session erases its tokens: that must not count as a wrong one.
    await live();
    throw await joinRefusal(joinMisses, sessionId, partyId);
  }
  if ((await parties.read(partyId)) === undefined) {
    throw new RouterError("NOT_REGISTERED", `party ${partyId} must register before it joins`);
  }
}

/**
 * The share is stored before the record says so, under its content's hash: an offer that is then refused neither harms
 * the one that was accepted nor stays.
 */
async function submitShare(
  share: SubmittedShare,
  { sessions, writer, vault, clock }: SessionOperationsOptions,
): Promise<void> {
  const { sessionId } = share;
  const submission = { ...share, contentHash: contentHashOf(share) };
  const move = (record: SessionRecord, nowMs: number): SessionRecord =>
    submitted(record, submission, nowMs);
  const stored = await sessions.read(sessionId);
  const nowMs = clock.nowMs();
  const record = visible(stored?.record, nowMs);
  // Most refusals, and repeats, are found before anything is stored.
  if (move(record, nowMs) === record) return;
  const id = secretId(sessionId, submission.contentHash);
  await vault.put("share", id, share.encryptedShare);
  try {
    await writer.change(sessionId, move);
  } catch (error) {
    if (!isOutcomeUnknown(error)) await vault.erase("share", id);
    throw error;
  }
}

/** After this it may be that the record names the share. */
function isOutcomeUnknown(error: unknown): boolean {
  return !(error instanceof RouterError) || error.reason === "BROKER_UNAVAILABLE";
}

function contentHashOf(share: SubmittedShare): string {
  const hash = createHash("sha256");
  for (const part of [share.encryptedShare, share.publicKey]) {
    hash.update(`${part.length}.`).update(part);
  }
  return hash.digest("hex");
}

function requireDeviceInfo(device: DeviceInfo): void {
  requireText("device_info.device_type", device.deviceType, limits.deviceFieldBytes);
  requireText("device_info.device_id", device.deviceId, limits.deviceFieldBytes);
  requireText("device_info.platform", device.platform, limits.deviceFieldBytes);
  requireText("device_info.app_version", device.appVersion, limits.deviceFieldBytes);
}
