import { createHash } from "node:crypto";
import type { Mailbox } from "../domain/messages/message.ts";

/**
 * The one place that spells subjects, streams and buckets. Ids are checked where they enter (domain/ids.ts), so each is
 * one token without a wildcard.
 */
export const streams = {
  /** One copy of a message per recipient: `mpc.msg.<party>.<session>.<message>`. */
  messages: "MPC_MSG",
  /** Delivery records: `mpc.st.<session>.<message>.<party>.<state>`; of an ended session, one for all of them. */
  deliveries: "MPC_ST",
  /** Session events: `mpc.evt.<session>.<event>`. */
  events: "MPC_EVT",
  /** Sealed secrets that can be erased: `mpc.sec.<kind>.<id>`. */
  secrets: "MPC_SEC",
} as const;

export const buckets = {
  sessions: "mpc_sessions",
  /** Completed keygen sessions, kept without limit and never watched. */
  keys: "mpc_keys",
  parties: "mpc_parties",
  /** In memory: who was seen when, which streams are open, which instances live. */
  presence: "mpc_presence",
  /** Which instance holds the message stream of a mailbox. */
  owners: "mpc_owners",
} as const;

export type DeliveryState = "dlv" | "ack" | "fail" | "idem" | "sum" | `nak${number}`;

/** Stands for the recipient in a record that belongs to a message as a whole; no id has this character. */
export const noRecipient = "~";
/** Stands for the message in a record that belongs to a session as a whole. */
const noMessage = "~";

export const subjects = {
  message: (box: Mailbox, messageId: string): string =>
    `mpc.msg.${box.partyId}.${box.sessionId}.${messageId}`,
  mailbox: (box: Mailbox): string => `mpc.msg.${box.partyId}.${box.sessionId}.*`,
  mailOfParty: (partyId: string): string => `mpc.msg.${partyId}.>`,
  mailOfSession: (sessionId: string): string => `mpc.msg.*.${sessionId}.*`,
  copiesOf: (sessionId: string, messageId: string): string => `mpc.msg.*.${sessionId}.${messageId}`,
  allMessages: "mpc.msg.>",

  delivery: (box: Mailbox, messageId: string, state: DeliveryState): string =>
    `mpc.st.${box.sessionId}.${messageId}.${box.partyId}.${state}`,
  deliveriesAt: (box: Mailbox, messageId: string): string =>
    `mpc.st.${box.sessionId}.${messageId}.${box.partyId}.*`,
  deliveriesOf: (sessionId: string, messageId: string): string =>
    `mpc.st.${sessionId}.${messageId}.*.*`,
  deliveriesInMailbox: (box: Mailbox, state: DeliveryState | "*"): string =>
    `mpc.st.${box.sessionId}.*.${box.partyId}.${state}`,
  deliveriesOfSession: (sessionId: string): string => `mpc.st.${sessionId}.>`,
  idempotency: (sessionId: string, messageId: string): string =>
    `mpc.st.${sessionId}.${messageId}.${noRecipient}.idem`,
  /** What all records of an ended session are folded into. */
  deliverySummary: (sessionId: string): string =>
    `mpc.st.${sessionId}.${noMessage}.${noRecipient}.sum`,
  allDeliveries: "mpc.st.>",

  event: (sessionId: string, eventId: string): string => `mpc.evt.${sessionId}.${eventId}`,
  eventOfAnySession: (eventId: string): string => `mpc.evt.*.${eventId}`,
  eventsOfSession: (sessionId: string): string => `mpc.evt.${sessionId}.*`,
  allEvents: "mpc.evt.>",

  secret: (kind: string, id: string): string => `mpc.sec.${kind}.${id}`,
  secretsOfKind: (kind: string): string => `mpc.sec.${kind}.*`,
  allSecrets: "mpc.sec.>",

  /** Core NATS, not stored: notes to whichever instance holds this mailbox's stream. */
  mailboxNotes: (box: Mailbox): string => `mpc.ctl.${box.partyId}.${box.sessionId}`,

  /** Core NATS, told by a cluster: a stream has a leader again. */
  elections: "$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.>",
} as const;

/** Parts of a stored copy's subject. */
export function parseMessageSubject(subject: string): Mailbox & { readonly messageId: string } {
  const [, , partyId = "", sessionId = "", messageId = ""] = subject.split(".");
  return { partyId, sessionId, messageId };
}

/** Parts of a delivery record's subject. */
export function parseDeliverySubject(
  subject: string,
): Mailbox & { readonly messageId: string; readonly state: DeliveryState } {
  const [, , sessionId = "", messageId = "", partyId = "", state = ""] = subject.split(".");
  return { partyId, sessionId, messageId, state: state as DeliveryState };
}

/** A short token that stands for a mailbox where both ids would be too long: 22 characters. */
export function mailboxHash(box: Mailbox): string {
  return createHash("sha256")
    .update(`${box.partyId}.${box.sessionId}`)
    .digest("base64url")
    .slice(0, 22);
}
