import { RouterError } from "../errors.ts";
import type { OutsideCreation } from "../events/session-directory.ts";
import type { Vault } from "../secrets/vault.ts";
import type { CoordinatorOptions } from "./coordinator-options.ts";
import {
  checkedRequest,
  requestHashOf,
  requireOneDelegate,
  sessionIdFor,
  type CreateRequest,
} from "./create-request.ts";
import { encodeTokens } from "./join-tokens.ts";
import { newRecord } from "./new-session.ts";
import { checkedCreation } from "./outside-session.ts";
import { isKnownEvent } from "./outside-transition.ts";
import { chooseParties, defaultTtlMs, partiesNamed } from "./roster.ts";
import type { SessionQuota } from "./session-quota.ts";
import { requestSecretId } from "./session-secrets.ts";
import { lentTo, plannedSeats, requireKeygen, type SessionShape } from "./session-shape.ts";
import type { SessionRecord } from "./session.ts";

/**
 * Makes session records. The caller settles what follows from them. A new one is refused with TOO_MANY_SESSIONS where its
 * coordinator has as many as it may.
 */
export interface SessionCreation {
  /** The session of this request, whether it is new or was made by the same request before. */
  fromRequest(request: CreateRequest, createdBy: string): Promise<SessionRecord>;
  /** The session of this event, likewise. */
  fromEvent(creation: OutsideCreation): Promise<SessionRecord>;
}

export type CreationOptions = Omit<
  CoordinatorOptions,
  "secrets" | "joinMisses" | "forgetSession" | "events" | "log"
> & { readonly vault: Vault; readonly quota: SessionQuota };

export function createSessionCreation(options: CreationOptions): SessionCreation {
  return {
    fromRequest: (request, createdBy) => fromRequest(request, createdBy, options),
    fromEvent: (creation) => fromEvent(creation, options),
  };
}

async function fromRequest(
  request: CreateRequest,
  createdBy: string,
  options: CreationOptions,
): Promise<SessionRecord> {
  const checked = checkedRequest(request);
  const { shape, requestId, userPublicKey } = checked;
  const requestHash = requestHashOf(request);
  const sessionId = requestId === "" ? `ses_${options.randomness.id()}` : sessionIdFor(requestId);
  const earlier = requestId === "" ? undefined : await known(sessionId, options);
  if (earlier !== undefined) return requireSameRequest(earlier, requestHash);
  const keygen = await keygenOf(shape, options);
  const parties = await chooseParties(checked, { keygen, seed: sessionId }, options);
  const seats = plannedSeats({ ...parties, keygen });
  if (userPublicKey !== undefined) requireOneDelegate(seats);
  const { lentShare } = shape;
  if (lentShare !== undefined) requireDelegate(lentTo(seats, lentShare, keygen).role);
  const nowMs = options.clock.nowMs();
  const plan = {
    sessionId,
    shape,
    seats,
    keygen,
    ...(userPublicKey === undefined ? {} : { userPublicKey }),
    expiresAt: nowMs + (checked.expiresInMs || defaultTtlMs(parties, options)),
    keyId: options.keyring.currentKeyId,
    tokens: "derived",
    createdBy,
    requestHash,
  } as const;
  const lent = lentShare === undefined ? {} : { lent: lentShare.encryptedShare };
  return requireSameRequest(await store(newRecord(plan, nowMs), lent, options), requestHash);
}

async function fromEvent(
  creation: OutsideCreation,
  options: CreationOptions,
): Promise<SessionRecord> {
  const nowMs = options.clock.nowMs();
  const { shape, joinTokens, expiresAt } = checkedCreation(creation, nowMs);
  const { sessionId, eventId, contentHash } = creation;
  const earlier = await known(sessionId, options);
  if (earlier !== undefined) return requireSameEvent(earlier, creation);
  if (await options.hasMail(sessionId)) throw sessionExists();
  const keygen = await keygenOf(shape, options);
  const parties = await partiesNamed(creation.selectedParties, options);
  const seats = plannedSeats({ ...parties, keygen });
  const { lentShare } = shape;
  if (lentShare !== undefined) lentTo(seats, lentShare, keygen);
  const plan = {
    sessionId,
    shape,
    seats,
    keygen,
    expiresAt: expiresAt ?? nowMs + defaultTtlMs(parties, options),
    keyId: options.keyring.currentKeyId,
    tokens: "sealed",
    createdBy: creation.createdBy,
    requestHash: contentHash,
    event: { eventId, contentHash, at: creation.createdAt },
  } as const;
  const lent = lentShare === undefined ? {} : { lent: lentShare.encryptedShare };
  const secrets = { tokens: encodeTokens(joinTokens), ...lent };
  return requireSameEvent(await store(newRecord(plan, nowMs), secrets, options), creation);
}

async function known(
  sessionId: string,
  { sessions }: CreationOptions,
): Promise<SessionRecord | undefined> {
  return (await sessions.read(sessionId))?.record ?? (await sessions.kept(sessionId));
}

async function keygenOf(
  shape: SessionShape,
  options: CreationOptions,
): Promise<SessionRecord | undefined> {
  const { keygenSessionId } = shape;
  if (keygenSessionId === "") return undefined;
  return requireKeygen(await known(keygenSessionId, options), shape, options.clock.nowMs());
}

/** Secrets first: once the record is there, another instance may ask for them. */
async function store(
  record: SessionRecord,
  secrets: { readonly tokens?: Uint8Array; readonly lent?: Uint8Array },
  { sessions, vault, quota }: CreationOptions,
): Promise<SessionRecord> {
  const id = requestSecretId(record);
  return quota.admit(record, async () => {
    if (secrets.tokens !== undefined) await vault.put("tokens", id, secrets.tokens);
    if (secrets.lent !== undefined) await vault.put("lent", id, secrets.lent);
    return (await sessions.create(record)).stored.record;
  });
}

function requireSameRequest(record: SessionRecord, requestHash: string): SessionRecord {
  if (record.requestHash === requestHash) return record;
  throw new RouterError("REQUEST_ID_REUSED", "request_id was used with another request");
}

/** A kept keygen session has no transitions any more; then its request hash, the event's, tells. */
function requireSameEvent(record: SessionRecord, creation: OutsideCreation): SessionRecord {
  if (isKnownEvent(record, creation) || record.requestHash === creation.contentHash) return record;
  throw sessionExists();
}

function sessionExists(): RouterError {
  return new RouterError("SESSION_EXISTS", "session_id names a session that has a record or mail");
}

function requireDelegate(role: SessionRecord["parties"][number]["role"]): void {
  if (role === "delegate") return;
  throw new RouterError(
    "INVALID_FIELD",
    "delegate_user_share.delegate_party_id must be a party of role delegate",
  );
}
