import type {
  JoinSessionResponse,
  SessionEvent,
} from "../../gen/mpc/router/v1/message_router_pb.js";
import { generateKey, groupKeyOf, type KeyShare } from "./keygen.ts";
import type { Finished, FromParty, PartySettings } from "./party-messages.ts";
import type { RouterLink } from "./router-link.ts";
import type { Identity, PeerKey } from "./sealing.ts";
import { rest, type Peer, type Seat } from "./seat.ts";
import { sessionReached } from "./session-events.ts";
import { SessionMail } from "./session-mail.ts";
import { sign } from "./signing.ts";

interface PartyOptions {
  readonly settings: PartySettings;
  readonly identity: Identity;
  readonly tell: (news: FromParty) => void;
}

/** What a protocol ended with: a public key or a signature. */
type Outcome =
  | { readonly publicKey: Uint8Array; readonly signature?: never }
  | { readonly signature: Uint8Array; readonly publicKey?: never };

/** The sessions of one party: the keys it has shares of, whom it trusts, and what it may sign. */
export class PartySessions {
  readonly known: Set<string> = new Set();
  readonly #link: RouterLink;
  readonly #options: PartyOptions;
  readonly #peerKeys = new Map<string, PeerKey>();
  readonly #keysBySession = new Map<string, KeyShare>();
  readonly #keygenByHash = new Map<string, string>();
  #duplicates = 0;
  #missedEvents = 0;

  constructor(link: RouterLink, options: PartyOptions) {
    this.#link = link;
    this.#options = options;
  }

  /** From now on this is that party's key, whatever the router says. */
  pin(partyId: string, key: PeerKey): void {
    this.#peerKeys.set(partyId, key);
  }

  /** From now on this hash (hex) may be signed, with the key of that session. */
  approve(messageHash: string, keygenSessionId: string): void {
    this.#keygenByHash.set(messageHash, keygenSessionId);
  }

  /** Joins the session, runs its protocol and reports; resolves when the whole session is completed. */
  async takePart(invitation: SessionEvent, signal: AbortSignal): Promise<Finished> {
    const { sessionId } = invitation;
    const { settings, tell } = this.#options;
    const { partyId } = settings;
    const { api } = this.#link;
    this.known.add(sessionId);

    const joinToken = invitation.joinTokens[partyId] ?? "";
    const joining = { sessionId, partyId, joinToken, deviceInfo: deviceOf(partyId) };
    const joined = await this.#link.call(async (options) => api.joinSession(joining, options));
    await this.#link.call(async (options) => api.markPartyReady({ sessionId, partyId }, options));
    const others = joined.otherParties.map((party) => party.partyId);
    tell({ kind: "waiting", what: "the session to start with", parties: others });
    const watched = { partyId, sessionId, lastEventId: invitation.eventId };
    await this.#reached({ ...watched, status: "in_progress" }, signal);

    const outcome = await this.#run({ invitation, joined }, signal);
    const report = { sessionId, partyId, ...outcome };
    await this.#link.call(async (options) => api.reportCompletion(report, options));
    tell({ kind: "waiting", what: "the session to be completed by", parties: others });
    await this.#reached({ ...watched, status: "completed" }, signal);
    return {
      kind: "finished",
      sessionId,
      partyIndex: joined.partyIndex,
      result: hex(outcome.publicKey ?? outcome.signature),
      faults: {
        retries: this.#link.retries,
        reconnects: this.#link.reconnects,
        duplicates: this.#duplicates,
        missedEvents: this.#missedEvents,
      },
    };
  }

  async #run(
    session: { readonly invitation: SessionEvent; readonly joined: JoinSessionResponse },
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { sessionId } = session.invitation;
    const { settings, tell } = this.#options;
    const { partyId } = settings;
    const peers = this.#peersOf(session.joined);
    await using mail = new SessionMail(this.#link, { sessionId, partyId, tell }, signal);
    const kind = session.joined.sessionInfo?.sessionType ?? "";
    const seat: Seat = {
      sessionId,
      partyId,
      partyIndex: session.joined.partyIndex,
      thresholdT: session.invitation.thresholdT,
      thresholdN: session.invitation.thresholdN,
      identity: this.#options.identity,
      peers,
      mail,
      beforeRound: async (round) => {
        tell({ kind: "round", session: kind, round });
        await rest(settings.pauseMs, signal);
      },
    };
    const outcome = await this.#protocol(kind, seat, session.invitation.messageHash);
    this.#duplicates += mail.duplicates;
    return outcome;
  }

  async #protocol(kind: string, seat: Seat, messageHash: Uint8Array): Promise<Outcome> {
    if (kind === "keygen") {
      const key = await generateKey(seat);
      this.#keysBySession.set(seat.sessionId, key);
      return { publicKey: groupKeyOf(key) };
    }
    if (kind !== "sign") throw new Error(`session ${seat.sessionId} is of no known type`);
    // The hash comes through the router, the permission does not: a router cannot have anything signed.
    const keygenSessionId = this.#keygenByHash.get(hex(messageHash));
    const key = this.#keysBySession.get(keygenSessionId ?? "");
    if (key === undefined) {
      throw new Error(`session ${seat.sessionId} asks to sign a hash that was not approved`);
    }
    return { signature: await sign(seat, key, messageHash) };
  }

  #peersOf(joined: JoinSessionResponse): readonly Peer[] {
    return joined.otherParties
      .map(({ partyId, partyIndex }) => {
        const key = this.#peerKeys.get(partyId);
        if (key === undefined) throw new Error(`the key of ${partyId} is not known here`);
        return { partyId, partyIndex, key };
      })
      .toSorted((a, b) => a.partyIndex - b.partyIndex);
  }

  async #reached(
    session: Parameters<typeof sessionReached>[1],
    signal: AbortSignal,
  ): Promise<void> {
    if ((await sessionReached(this.#link, session, signal)) === "status") this.#missedEvents++;
  }
}

function deviceOf(
  partyId: string,
): Record<"deviceType" | "deviceId" | "platform" | "appVersion", string> {
  return {
    deviceType: "server",
    deviceId: partyId,
    platform: process.platform,
    appVersion: "ceremony/1",
  };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
