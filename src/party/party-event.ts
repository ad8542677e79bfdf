import type { SessionEvent } from "../../gen/mpc/router/v1/message_router_pb.js";

/** The user's share, encrypted to this party, lent for one signature. */
export interface LentShare {
  readonly encryptedShare: Uint8Array;
  readonly partyIndex: number;
}

/** Something happened in a session of this party, or is about it. */
export interface PartyEvent {
  /** The same however often the event comes. */
  readonly eventId: string;
  /** session_created, party_joined, session_started, message_failed, …, or an outside coordinator's own. */
  readonly type: string;
  readonly sessionId: string;
  readonly thresholdN: number;
  readonly thresholdT: number;
  readonly parties: readonly string[];
  /** Empty but for sign sessions. */
  readonly messageHash: Uint8Array;
  /** Unix milliseconds. */
  readonly createdAt: number;
  /** Unix milliseconds. */
  readonly expiresAt: number;
  /** In session_created. */
  readonly joinToken?: string;
  /** In session_created, for the delegate of a sign session that is lent the user's share. */
  readonly lentShare?: LentShare;
}

/** A session that wants this party; {@link Party.join} takes it. */
export interface Invitation {
  readonly sessionId: string;
  readonly type: "keygen" | "sign";
  /** Shares of the key. */
  readonly thresholdN: number;
  /** Parties needed to sign. */
  readonly thresholdT: number;
  readonly parties: readonly string[];
  /** What to sign; empty for a key generation. It comes through the router: check it before you sign. */
  readonly messageHash: Uint8Array;
  /** Unix milliseconds. */
  readonly expiresAt: number;
  readonly joinToken: string;
  readonly lentShare?: LentShare;
  /** For the delegate of a key generation: the user's key, that the user's share is to be encrypted to. */
  readonly userPublicKey?: Uint8Array;
}

export function partyEventOf(wire: SessionEvent, partyId: string): PartyEvent {
  const joinToken = new Map(Object.entries(wire.joinTokens)).get(partyId);
  const { delegateUserShare } = wire;
  return {
    eventId: wire.eventId,
    type: wire.eventType,
    sessionId: wire.sessionId,
    thresholdN: wire.thresholdN,
    thresholdT: wire.thresholdT,
    parties: wire.selectedParties,
    messageHash: wire.messageHash,
    createdAt: Number(wire.createdAt),
    expiresAt: Number(wire.expiresAt),
    ...(joinToken === undefined ? {} : { joinToken }),
    ...(delegateUserShare === undefined
      ? {}
      : {
          lentShare: {
            encryptedShare: delegateUserShare.encryptedShare,
            partyIndex: delegateUserShare.partyIndex,
          },
        }),
  };
}

export function invitationOf(event: PartyEvent): Invitation {
  const { sessionId, thresholdN, thresholdT, parties, messageHash, expiresAt, lentShare } = event;
  const joinToken = event.joinToken ?? "";
  const userPublicKey = userKeyIn(joinToken);
  return {
    sessionId,
    type: messageHash.length === 0 ? "keygen" : "sign",
    thresholdN,
    thresholdT,
    parties,
    messageHash,
    expiresAt,
    joinToken,
    ...(lentShare === undefined ? {} : { lentShare }),
    ...(userPublicKey === undefined ? {} : { userPublicKey }),
  };
}

/** The contract has no field for the user's key: it is the second part of the delegate's token. */
function userKeyIn(joinToken: string): Uint8Array | undefined {
  const [, encoded] = /^mpcj_[^.]*\.([A-Za-z0-9_-]+)$/.exec(joinToken) ?? [];
  if (encoded === undefined) return undefined;
  try {
    const text = atob(encoded.replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(text, (character) => character.charCodeAt(0));
  } catch {
    // An outside coordinator's token that only looks like one of these.
    return undefined;
  }
}
