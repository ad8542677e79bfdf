import { bytesToHex } from "@noble/curves/utils.js";
import {
  sealSession,
  type Identity,
  type Invitation,
  type Party,
  type PartySession,
  type PublicIdentity,
  type SealError,
} from "../../../src/party/index.ts";
import { groupKeyOf, type KeyShare } from "../../../examples/frost/key-generation.ts";
import type { News, Order } from "./party-messages.ts";
import { pause } from "../pause.ts";
import { Permissions } from "./permissions.ts";
import { makeKey, signHash } from "./protocols.ts";
import type { RoundId } from "./rounds.ts";
import { Table } from "./table.ts";

export interface DemoPartyOptions {
  readonly partyId: string;
  readonly identity: Identity;
  readonly tell: (news: News) => void;
}

interface Approval {
  readonly keygenSessionId?: string | undefined;
}

/** Takes part in every session that wants it: the keys it has shares of, whom it trusts, and what it may sign. */
export class DemoParty {
  readonly #options: DemoPartyOptions;
  readonly #peers = new Map<string, PublicIdentity>();
  readonly #keys = new Map<string, KeyShare>();
  readonly #approvals = new Permissions<Approval>();
  readonly #tickets = new Permissions<true>();
  #readingMs = 0;
  #nextTicket = 1;

  constructor(options: DemoPartyOptions) {
    this.#options = options;
  }

  /** From now on this is that party's key, whatever the router says. */
  pin(partyId: string, publicIdentity: PublicIdentity): void {
    this.#peers.set(partyId, publicIdentity);
  }

  obey(order: Order): void {
    if (order.kind === "reading") this.#readingMs = order.ms;
    if (order.kind === "go") this.#tickets.grant(String(order.ticket), true);
    if (order.kind === "approve") this.#approvals.grant(approvalKey(order), order);
  }

  async attend(party: Party): Promise<void> {
    for await (const invitation of party.sessions()) {
      // A party that waits for its user's approval is still there for other sessions.
      void this.#takePart(party, invitation);
    }
  }

  async #takePart(party: Party, invitation: Invitation): Promise<void> {
    const { tell } = this.#options;
    const { sessionId, type, parties, thresholdT, thresholdN } = invitation;
    const messageHash = bytesToHex(invitation.messageHash);
    const facts = { sessionId, session: type, parties, thresholdT, thresholdN, messageHash };
    tell({ kind: "invited", ...facts });
    try {
      const key = type === "sign" ? await this.#approvedKey(sessionId, messageHash) : undefined;
      await using session = await party.join(invitation);
      tell({ kind: "joined", sessionId, partyIndex: session.partyIndex });
      await session.ready();
      tell({ kind: "started", sessionId });
      await this.#run(session, key);
    } catch (error) {
      tell({ kind: "stopped", sessionId, reason: textOf(error) });
    }
  }

  async #run(session: PartySession, key: KeyShare | undefined): Promise<void> {
    const { tell, identity } = this.#options;
    const { sessionId } = session;
    const onRefused = (error: SealError): void => this.#noteRefusal(error);
    const mail = sealSession(session, { identity, peers: this.#peers, onRefused });
    const table = new Table({
      session,
      mail,
      tell,
      mayGo: (message) => this.#mayGo(sessionId, message),
      read: () => pause(this.#readingMs),
    });
    if (key === undefined) {
      const share = await makeKey(table);
      const publicKey = groupKeyOf(share);
      await session.complete({ publicKey });
      this.#keys.set(sessionId, share);
      tell({ kind: "finished", sessionId, session: "keygen", result: bytesToHex(publicKey) });
    } else {
      const signature = await signHash(table, key, session.messageHash);
      await session.complete({ signature });
      tell({ kind: "finished", sessionId, session: "sign", result: bytesToHex(signature) });
    }
    await session.ended;
  }

  /** The hash comes through the router, the permission does not: a router cannot have anything signed. */
  async #approvedKey(sessionId: string, messageHash: string): Promise<KeyShare> {
    this.#options.tell({ kind: "asked", sessionId, messageHash });
    const { keygenSessionId } = await this.#approvals.take(approvalKey({ sessionId, messageHash }));
    const newest = [...this.#keys.keys()].at(-1) ?? "";
    const key = this.#keys.get(keygenSessionId ?? newest);
    if (key === undefined) throw new Error("this party has no share of the key");
    return key;
  }

  async #mayGo(
    sessionId: string,
    message: { readonly roundId: RoundId; readonly to: readonly string[] },
  ): Promise<void> {
    const ticket = this.#nextTicket++;
    this.#options.tell({ kind: "wants", ticket, sessionId, ...message });
    await this.#tickets.take(String(ticket));
  }

  #noteRefusal({ messageId = "", message }: SealError): void {
    this.#options.tell({ kind: "refused", messageId, reason: message });
  }
}

function approvalKey(of: { readonly sessionId: string; readonly messageHash: string }): string {
  return `${of.sessionId} ${of.messageHash}`;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
