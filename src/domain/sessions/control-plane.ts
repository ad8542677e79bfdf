import { requireCoordinator, type Caller } from "../caller.ts";
import type { Clock } from "../clock.ts";
import { limits, requireId, requireText } from "../ids.ts";
import type { Vault } from "../secrets/vault.ts";
import type { CreateRequest } from "./create-request.ts";
import { confirmed, eraseAt, shareNotFound, taken } from "./delegate-share.ts";
import type { JoinTokens } from "./join-tokens.ts";
import { isForgotten, sessionNotFound } from "./session-access.ts";
import type { SessionCreation } from "./session-creation.ts";
import { checkedQuery, listSessions, type SessionPage, type SessionQuery } from "./session-list.ts";
import type { SessionStore } from "./session-ports.ts";
import { eraseDue, secretId } from "./session-secrets.ts";
import { cancelled } from "./session-state.ts";
import { asOf } from "./session-view.ts";
import { watchRecord } from "./session-watch.ts";
import type { SessionWriter } from "./session-writer.ts";
import type { SessionRecord, StoredSession } from "./session.ts";

/** What the wallet or account backend does with sessions; every call is refused to a party's credential. */
export interface ControlPlane {
  createSession(caller: Caller, request: CreateRequest): Promise<CreatedSession>;
  getSession(caller: Caller, sessionId: string): Promise<SessionRecord>;
  listSessions(caller: Caller, query: SessionQuery): Promise<SessionPage>;
  /** Resolves with the session as it is after the call. */
  cancelSession(caller: Caller, sessionId: string, reason: string): Promise<SessionRecord>;
  /** The state now, then every change; ends after the terminal state, or with the signal. */
  watchSession(
    caller: Caller,
    sessionId: string,
    signal: AbortSignal,
  ): Promise<AsyncIterable<SessionRecord>>;
  takeDelegateShare(caller: Caller, take: Take): Promise<TakenShare>;
  confirmDelegateShare(caller: Caller, take: Take): Promise<void>;
}

export interface CreatedSession {
  readonly record: SessionRecord;
  /** By party. */
  readonly joinTokens: ReadonlyMap<string, string>;
}

interface Take {
  readonly sessionId: string;
  readonly takeId: string;
}

interface TakenShare {
  readonly delegatePartyId: string;
  readonly encryptedShare: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly partyIndex: number;
  /** Unix milliseconds. */
  readonly eraseAt: number;
}

export interface ControlPlaneOptions {
  readonly sessions: SessionStore;
  readonly creation: SessionCreation;
  readonly writer: SessionWriter;
  readonly tokens: JoinTokens;
  readonly vault: Vault;
  readonly clock: Clock;
}

export function createControlPlane(options: ControlPlaneOptions): ControlPlane {
  const { sessions, creation, writer, tokens, clock } = options;
  const asOfNow = (record: SessionRecord): SessionRecord => asOf(record, clock.nowMs());
  return {
    async createSession(caller, request) {
      const createdBy = requireCoordinator(caller);
      const record = await creation.fromRequest(request, createdBy);
      await writer.settleNew(record);
      return { record: asOfNow(record), joinTokens: tokens.derivedTokens(record) };
    },
    async getSession(caller, sessionId) {
      requireCoordinator(caller);
      requireId("session_id", sessionId);
      return asOfNow((await liveOrKept(sessions, sessionId, clock.nowMs())).record);
    },
    async listSessions(caller, query) {
      requireCoordinator(caller);
      return listSessions(checkedQuery(query), sessions, clock.nowMs());
    },
    async cancelSession(caller, sessionId, reason) {
      requireCoordinator(caller);
      requireId("session_id", sessionId);
      requireText("reason", reason, limits.reasonBytes);
      return writer.change(sessionId, (record, nowMs) => cancelled(record, reason, nowMs));
    },
    async watchSession(caller, sessionId, signal) {
      requireCoordinator(caller);
      requireId("session_id", sessionId);
      const current = (): Promise<StoredSession> => liveOrKept(sessions, sessionId, clock.nowMs());
      return watchRecord(sessionId, { sessions, current, asOfNow, signal });
    },
    async takeDelegateShare(caller, take) {
      requireCoordinator(caller);
      requireTake(take);
      return takeShare(take, options);
    },
    async confirmDelegateShare(caller, take) {
      requireCoordinator(caller);
      requireTake(take);
      await confirmShare(take, options);
    },
  };
}

/**
 * The record as it stands, or as it was kept; what is kept changes no more. Read from the leader, so it may refuse.
 */
export async function liveOrKept(
  sessions: SessionStore,
  sessionId: string,
  nowMs: number,
): Promise<StoredSession> {
  const stored = await sessions.read(sessionId);
  if (stored !== undefined && !isForgotten(stored.record, nowMs)) return stored;
  const record = await sessions.kept(sessionId);
  if (record === undefined) throw sessionNotFound();
  return { record, revision: Number.POSITIVE_INFINITY };
}

async function takeShare(
  { sessionId, takeId }: Take,
  { sessions, writer, vault, clock }: ControlPlaneOptions,
): Promise<TakenShare> {
  const known = await liveOrKept(sessions, sessionId, clock.nowMs());
  if (known.revision === Number.POSITIVE_INFINITY) throw shareNotFound();
  const record = await writer.change(sessionId, (found, nowMs) => taken(found, takeId, nowMs));
  const { partyId = "", publicKey, contentHash = "" } = record.delegateShare;
  const encryptedShare = await vault.get("share", secretId(sessionId, contentHash));
  if (encryptedShare === undefined || publicKey === undefined) throw shareNotFound();
  return {
    delegatePartyId: partyId,
    encryptedShare,
    publicKey,
    partyIndex: record.parties.find((party) => party.partyId === partyId)?.partyIndex ?? 0,
    eraseAt: eraseAt(record, clock.nowMs()),
  };
}

async function confirmShare(
  { sessionId, takeId }: Take,
  { writer, vault, clock }: ControlPlaneOptions,
): Promise<void> {
  const record = await writer.change(sessionId, (found, nowMs) => confirmed(found, takeId, nowMs));
  // The answer promises it, so here a failure must not be left to the sweep.
  await eraseDue(vault, record, clock.nowMs());
}

function requireTake({ sessionId, takeId }: Take): void {
  requireId("session_id", sessionId);
  requireId("take_id", takeId);
}
