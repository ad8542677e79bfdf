import { setTimeout as sleep } from "node:timers/promises";
import {
  sealSession,
  type Identity,
  type Invitation,
  type Party,
  type PublicIdentity,
  type SealedSession,
  type SessionResult,
} from "../../src/party/index.ts";
import { groupKeyOf, type KeyShare } from "../frost/key-generation.ts";
import { generateKey } from "./keygen.ts";
import type { Finished, FromParty, PartySettings } from "./party-messages.ts";
import type { Seat } from "./seat.ts";
import { SessionMail } from "./session-mail.ts";
import { sign } from "./signing.ts";

interface SessionsOptions {
  readonly settings: PartySettings;
  readonly identity: Identity;
  readonly tell: (news: FromParty) => void;
}

/** The sessions of one party: the keys it has shares of, whom it trusts, and what it may sign. */
export class PartySessions {
  readonly #options: SessionsOptions;
  readonly #peers = new Map<string, PublicIdentity>();
  readonly #keysBySession = new Map<string, KeyShare>();
  readonly #keygenByHash = new Map<string, string>();

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  /** From now on these are that party's keys, whatever the router says. */
  pin(partyId: string, keys: PublicIdentity): void {
    this.#peers.set(partyId, keys);
  }

  /** From now on this hash (hex) may be signed, with the key of that session. */
  approve(messageHash: string, keygenSessionId: string): void {
    this.#keygenByHash.set(messageHash, keygenSessionId);
  }

  /** Joins the session, runs its protocol and reports; resolves when the whole session is completed. */
  async takePart(party: Party, invitation: Invitation, signal: AbortSignal): Promise<Finished> {
    const { identity, tell } = this.#options;
    await using joined = await party.join(invitation);
    const session = sealSession(joined, { identity, peers: this.#peers });
    const { sessionId, partyIndex, partyId } = session;
    const others = session.parties.map((one) => one.partyId).filter((id) => id !== partyId);
    tell({ kind: "waiting", what: "the session to start with", parties: others });
    await session.ready();

    const result = await this.#run(session, signal);
    await session.complete(result);
    tell({ kind: "waiting", what: "the session to be completed by", parties: others });
    const { status } = await session.ended;
    if (status !== "completed") throw new Error(`session ${sessionId} has ${status}`);
    const { publicKey, signature } = result;
    const shown = hex(publicKey ?? signature);
    return { kind: "finished", sessionId, partyIndex, result: shown, faults: party.faults };
  }

  async #run(session: SealedSession, signal: AbortSignal): Promise<SessionResult> {
    const { settings, tell } = this.#options;
    const { type, sessionId, partyId } = session;
    await using mail = new SessionMail(session, tell);
    const seat: Seat = {
      session,
      mail,
      peers: session.parties.filter((one) => one.partyId !== partyId),
      beforeRound: async (round) => {
        tell({ kind: "round", session: type, round });
        if (settings.pauseMs > 0) await sleep(settings.pauseMs, undefined, { signal });
      },
    };
    if (type === "keygen") {
      const key = await generateKey(seat);
      this.#keysBySession.set(sessionId, key);
      return { publicKey: groupKeyOf(key) };
    }
    return { signature: await sign(seat, this.#approvedKey(session), session.messageHash) };
  }

  /** The hash comes through the router, the permission does not: a router cannot have anything signed. */
  #approvedKey({ sessionId, messageHash }: SealedSession): KeyShare {
    const keygenSessionId = this.#keygenByHash.get(hex(messageHash));
    const key = this.#keysBySession.get(keygenSessionId ?? "");
    if (key === undefined) {
      throw new Error(`session ${sessionId} asks to sign a hash that was not approved`);
    }
    return key;
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
