import { createHash } from "node:crypto";
import { actingParty, type Caller } from "../caller.ts";
import type { Clock, Randomness } from "../clock.ts";
import { RouterError } from "../errors.ts";
import { limits, requireId, requireText, requireWhole } from "../ids.ts";
import type { Keyring } from "../secrets/keyring.ts";
import { judgeSession, requireLive, seatIn, type Seat } from "../sessions/session-access.ts";
import type { SessionStore } from "../sessions/session-ports.ts";
import { hasJoined, retentionMs, type SessionRecord } from "../sessions/session.ts";
import type { CreationClock } from "./creation-clock.ts";
import type { IdempotencyClaim, MailboxMeter, MessageStore } from "./message-ports.ts";
import type { MessageFacts, OutgoingMessage, Recipient } from "./message.ts";

interface RouteRequest {
  readonly sessionId: string;
  readonly fromParty: string;
  /** Empty: everybody of the roster but the sender. */
  readonly toParties: readonly string[];
  readonly roundNumber: number;
  readonly messageType: string;
  readonly payload: Uint8Array;
  /** Makes a repeat of the call safe; undefined when the caller gave none. */
  readonly idempotencyKey: string | undefined;
}

export interface RoutingOptions {
  readonly sessions: SessionStore;
  readonly store: MessageStore;
  readonly meter: MailboxMeter;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly creationClock: CreationClock;
  readonly randomness: Randomness;
  readonly maxPayloadBytes: number;
}

/** Routes a message; resolves with its id once it is durable for every recipient. */
export type RouteMessage = (caller: Caller, request: RouteRequest) => Promise<string>;

/** Copies of a message outlive the session's retention by this, so that no record is missing while it still answers. */
const keepMarginMs = 3_600_000;

export function createRouting(options: RoutingOptions): RouteMessage {
  return async (caller, request) => {
    const fromParty = actingParty(caller, requireId("from_party", request.fromParty));
    checkShape(request, options.maxPayloadBytes);
    const nowMs = options.clock.nowMs();
    const { record, recipients } = await judgeSession(
      options.sessions,
      request.sessionId,
      (found) => {
        const seat = seatIn(found, fromParty, nowMs);
        requireLive(seat.record, nowMs);
        requireJoined(seat);
        return { record: seat.record, recipients: recipientsOf(seat, request.toParties) };
      },
    );
    const boxes = recipients.map(({ partyId }) => ({ partyId, sessionId: record.sessionId }));
    using room = await options.meter.reserve(boxes, request.payload.length);
    const key = request.idempotencyKey;
    const draft: OutgoingMessage = {
      messageId:
        key === undefined
          ? options.randomness.id()
          : derivedId(options.keyring, record, { fromParty, key }),
      sessionId: record.sessionId,
      fromParty,
      isBroadcast: request.toParties.length === 0,
      roundNumber: request.roundNumber,
      messageType: request.messageType,
      payload: request.payload,
      createdAt: options.creationClock.next(record.sessionId, nowMs),
      recipients,
      keepUntil: record.expiresAt + retentionMs + keepMarginMs,
    };
    if (room.full !== undefined) {
      // What was taken once is in the mailbox, or was: its repeat is no more mail.
      if (key !== undefined && (await repeats(options, draft))) return draft.messageId;
      throw new RouterError("MAILBOX_FULL", `the mailbox of party ${room.full.partyId} is full`, {
        retryAfterMs: 1_000,
      });
    }
    if (key === undefined) await options.store.append(draft);
    else await routeOnce(options, draft);
    return draft.messageId;
  };
}

/** With an idempotency key the id follows from it, so that a repeat of the call finds what the first one stored. */
function derivedId(
  keyring: Keyring,
  record: SessionRecord,
  call: { readonly fromParty: string; readonly key: string },
): string {
  // A session whose key was taken from the key file goes on under the current one.
  const keyId = keyring.keyIds.includes(record.keyId) ? record.keyId : keyring.currentKeyId;
  const mac = keyring.mac(keyId, "message-id", record.sessionId, call.fromParty, call.key);
  return mac.toString("hex").slice(0, 32);
}

/** The first content claims the id; a repeat of the same completes what is missing of it, another is refused. */
async function routeOnce(options: RoutingOptions, message: OutgoingMessage): Promise<void> {
  const contentHash = hashOf(message);
  const { sessionId, messageId } = message;
  const facts = factsOf(message);
  const held = await options.store.claim({ sessionId, messageId, contentHash, facts });
  if (held === "claimed") return options.store.append(message);
  return completeHeld(options, message, held);
}

/** Completes the message of an earlier call with the same key; false when there was none. */
async function repeats(options: RoutingOptions, message: OutgoingMessage): Promise<boolean> {
  const held = await options.store.claimOn(message.sessionId, message.messageId);
  if (held === undefined) return false;
  await completeHeld(options, message, held);
  return true;
}

async function completeHeld(
  { store, creationClock }: RoutingOptions,
  message: OutgoingMessage,
  held: IdempotencyClaim,
): Promise<void> {
  if (held.contentHash !== hashOf(message)) {
    throw new RouterError(
      "IDEMPOTENCY_KEY_REUSED",
      "Idempotency-Key was used for another message of this sender in this session",
    );
  }
  const { createdAt } = held.facts;
  creationClock.saw(message.sessionId, createdAt);
  return store.complete({ ...message, createdAt });
}

export function factsOf(message: OutgoingMessage): MessageFacts {
  return {
    fromParty: message.fromParty,
    toPositions: message.recipients.map(({ position }) => position),
    createdAt: message.createdAt,
    keepUntil: message.keepUntil,
  };
}

function checkShape(request: RouteRequest, maxPayloadBytes: number): void {
  requireId("session_id", request.sessionId);
  for (const partyId of request.toParties) requireId("to_parties", partyId);
  requireWhole("round_number", request.roundNumber, { min: 0, max: 2_147_483_647 });
  requireText("message_type", request.messageType, limits.messageTypeBytes);
  if (request.payload.length > maxPayloadBytes) {
    throw new RouterError("PAYLOAD_TOO_LARGE", `payload must be at most ${maxPayloadBytes} bytes`);
  }
  const key = request.idempotencyKey;
  if (key !== undefined && !/^[\x20-\x7e]{1,128}$/.test(key)) {
    throw new RouterError(
      "INVALID_FIELD",
      `Idempotency-Key must be 1 to ${limits.idempotencyKeyCharacters} printable ASCII characters`,
    );
  }
}

/** Refuses a party that has not joined its session. */
export function requireJoined({ record, party }: Seat): void {
  if (hasJoined(party)) return;
  throw new RouterError(
    "NOT_JOINED",
    `party ${party.partyId} has not joined session ${record.sessionId}`,
  );
}

/** Who gets a copy, in roster order: duplicates collapse, and an empty list is everybody else. */
function recipientsOf({ record, party: sender }: Seat, toParties: readonly string[]): Recipient[] {
  const everybodyElse = toParties.length === 0;
  const wanted = new Set(toParties);
  if (wanted.has(sender.partyId)) {
    throw new RouterError("UNKNOWN_RECIPIENT", `to_parties names the sender ${sender.partyId}`);
  }
  const recipients = record.parties
    .map(({ partyId }, position) => ({ partyId, position }))
    .filter(({ partyId }) => (everybodyElse ? partyId !== sender.partyId : wanted.delete(partyId)));
  const [stranger] = wanted;
  if (stranger !== undefined) {
    throw new RouterError("UNKNOWN_RECIPIENT", `to_parties names ${stranger}, who is not in it`);
  }
  return recipients;
}

function hashOf(message: OutgoingMessage): string {
  const hash = createHash("sha256");
  const head = [
    message.isBroadcast,
    message.roundNumber,
    message.messageType,
    message.recipients.map(({ partyId }) => partyId),
  ];
  return hash.update(JSON.stringify(head)).update("\n").update(message.payload).digest("hex");
}
