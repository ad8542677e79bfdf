import type { PlannedSeat, SessionShape } from "./session-shape.ts";
import type { DelegateShare, SessionRecord, Transition } from "./session.ts";

/** Everything that is decided of a session when it is created. */
export interface NewSession {
  readonly sessionId: string;
  readonly shape: SessionShape;
  readonly seats: readonly PlannedSeat[];
  readonly keygen: SessionRecord | undefined;
  readonly userPublicKey?: Uint8Array;
  readonly expiresAt: number;
  readonly keyId: string;
  readonly tokens: SessionRecord["tokens"];
  /** Name of the coordinator that it counts for. */
  readonly createdBy: string;
  readonly requestHash: string;
  /** Name and time of the event, where an outside coordinator published it. */
  readonly event?: { readonly eventId: string; readonly contentHash: string; readonly at: number };
}

const nothing = new Uint8Array();

export function newRecord(session: NewSession, nowMs: number): SessionRecord {
  const { shape, seats, keygen, userPublicKey, event } = session;
  const { lentShare } = shape;
  const created: Transition = { at: nowMs, ...event, type: "session_created" };
  return {
    sessionId: session.sessionId,
    type: shape.type,
    status: "created",
    thresholdN: shape.thresholdN,
    thresholdT: shape.thresholdT,
    parties: seats.map((seat) => ({ ...seat, state: "selected", updatedAt: nowMs })),
    messageHash: shape.messageHash,
    publicKey: keygen?.publicKey ?? nothing,
    signature: nothing,
    failureReason: "",
    keygenSessionId: shape.keygenSessionId,
    delegateShare: awaitedShare(seats, userPublicKey),
    ...(lentShare === undefined
      ? {}
      : {
          lentShareTo: { partyId: lentShare.delegatePartyId, partyIndex: lentShare.partyIndex },
        }),
    ...(userPublicKey === undefined ? {} : { userPublicKey }),
    createdAt: nowMs,
    expiresAt: session.expiresAt,
    endedAt: 0,
    keyId: session.keyId,
    tokens: session.tokens,
    createdBy: session.createdBy,
    requestHash: session.requestHash,
    transitions: [created],
    publishedCount: 0,
  };
}

/** With the user's key, the one delegate of the session owes the user a share. */
function awaitedShare(
  seats: readonly PlannedSeat[],
  userPublicKey: Uint8Array | undefined,
): DelegateShare {
  const delegate = seats.find((seat) => seat.role === "delegate");
  if (userPublicKey === undefined || delegate === undefined) return { state: "none" };
  return { state: "awaited", partyId: delegate.partyId };
}

/** What is kept of a completed keygen session: what signing needs to know, nothing of how it went. */
export function keptRecord(record: SessionRecord): SessionRecord {
  const { userPublicKey, createdBy, ...rest } = record;
  void [userPublicKey, createdBy];
  return {
    ...rest,
    parties: record.parties.map(({ partyId, partyIndex, role, state, updatedAt }) => ({
      partyId,
      partyIndex,
      role,
      state,
      updatedAt,
    })),
    // It is read only when the share is gone: while it waits, the session's own record answers.
    delegateShare: { state: record.delegateShare.state === "none" ? "none" : "erased" },
    transitions: [],
    publishedCount: 0,
  };
}
