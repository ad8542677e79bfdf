import { createHash } from "node:crypto";
import {
  isTerminal,
  type SessionRecord,
  type SessionStatus,
  type Transition,
} from "../sessions/session.ts";

/** An event as it is stored: without secrets. Tokens and the lent share are put into a party's copy when it is read. */
export interface SessionEvent {
  readonly eventId: string;
  readonly eventType: string;
  readonly sessionId: string;
  readonly thresholdN: number;
  readonly thresholdT: number;
  /** Who it is for: the roster, but for message_failed the sender alone. */
  readonly selectedParties: readonly string[];
  readonly messageHash: Uint8Array;
  readonly createdAt: number;
  readonly expiresAt: number;
}

/** One party's copy of an event. */
export interface PartyEvent extends SessionEvent {
  /** The party's own token, only in session_created of a session that still lives; else absent. */
  readonly joinToken?: string;
  readonly lentShare?: {
    readonly delegatePartyId: string;
    readonly encryptedShare: Uint8Array;
    readonly partyIndex: number;
  };
}

/** The event that follows from a transition: always the same one, whichever instance makes it. */
export function eventOf(record: SessionRecord, transition: Transition): SessionEvent {
  return {
    eventId: transition.eventId ?? derivedEventId(record.sessionId, transition),
    eventType: transition.type,
    sessionId: record.sessionId,
    thresholdN: record.thresholdN,
    thresholdT: record.thresholdT,
    selectedParties: record.parties.map((party) => party.partyId),
    messageHash: record.messageHash,
    createdAt: transition.at,
    expiresAt: record.expiresAt,
  };
}

/** The event that tells a sender that one recipient will never have processed its message. */
export function messageFailedEvent(
  record: SessionRecord,
  failure: {
    readonly messageId: string;
    readonly fromParty: string;
    readonly partyIndex: number;
    readonly at: number;
  },
): SessionEvent {
  return {
    eventId: `${sessionHash(record.sessionId)}-message_failed-${failure.messageId}-${failure.partyIndex}`,
    eventType: "message_failed",
    sessionId: record.sessionId,
    thresholdN: record.thresholdN,
    thresholdT: record.thresholdT,
    selectedParties: [failure.fromParty],
    messageHash: record.messageHash,
    createdAt: failure.at,
    expiresAt: record.expiresAt,
  };
}

/** Whether an event of this type tells of the end of its session. */
export function isTerminalType(eventType: string): boolean {
  const status = eventType.replace(/^session_/, "");
  return eventType !== status && isTerminal(status as SessionStatus);
}

function derivedEventId(sessionId: string, transition: Transition): string {
  const base = `${sessionHash(sessionId)}-${transition.type}`;
  switch (transition.type) {
    case "party_joined":
    case "party_ready":
    case "party_completed":
      return `${base}-${transition.partyIndex}`;
    case "session_failed":
      return `${base}-${transition.word}`;
    case "session_created":
    case "session_started":
    case "session_completed":
    case "session_expired":
      return base;
  }
}

/** 16 hexadecimal digits that stand for the session in an event id. */
function sessionHash(sessionId: string): string {
  return createHash("sha256").update(sessionId).digest("hex").slice(0, 16);
}
