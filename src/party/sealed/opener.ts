import type { PartySession, ReceivedMessage } from "../party-session.ts";
import { echoType, type BroadcastEcho } from "./broadcast-echo.ts";
import { hex } from "./bytes.ts";
import type { Identity, PublicIdentity } from "./identity.ts";
import { SealError } from "./seal-error.ts";
import type { SealedHeader } from "./sealed-header.ts";
import { open, verifySeal } from "./sealing.ts";

/** Messages of a session that are remembered, to tell replays. More than any protocol has. */
const mostNonces = 100_000;

/** The place where messages arrive. */
export type Place = Pick<PartySession, "sessionId" | "partyId" | "parties">;

export interface OpenerOptions {
  readonly identity: Identity;
  readonly peers: ReadonlyMap<string, PublicIdentity>;
  readonly echo: BroadcastEcho;
}

/** Checks what came through the router against what its sender signed, and opens it. */
export class Opener {
  readonly #place: Place;
  readonly #options: OpenerOptions;
  readonly #messageByNonce = new Map<string, string>();

  constructor(place: Place, options: OpenerOptions) {
    this.#place = place;
    this.#options = options;
  }

  /** The plain payload; `undefined`: it was the channel's own. Throws a SealError for what is not as it was sealed. */
  async open(message: ReceivedMessage): Promise<Uint8Array | undefined> {
    try {
      return await this.#open(message);
    } catch (error) {
      if (!(error instanceof SealError)) throw error;
      const { messageId, from } = message;
      const detail = error.message.slice(error.reason.length + 2);
      throw new SealError(error.reason, detail, {
        messageId,
        partyId: error.partyId ?? from,
        cause: error,
      });
    }
  }

  async #open(message: ReceivedMessage): Promise<Uint8Array | undefined> {
    const { peers, identity, echo } = this.#options;
    const signed = await verifySeal(message.payload, (partyId) => peers.get(partyId)?.signingKey);
    const { header, headerBytes } = signed;
    this.#requirePlace(header, message);
    this.#requireNew(header, message);
    const body = await open(signed, this.#place.partyId, identity);
    const { round, from } = header;
    if (header.type === echoType) {
      echo.heard(round, from, body);
      return undefined;
    }
    // Of what is delivered again after a refusal the first sight counts.
    const nonce = hex(header.nonce);
    const isFirst = !this.#messageByNonce.has(nonce);
    if (isFirst && header.isBroadcast) await echo.saw({ round, from, headerBytes }, body);
    this.#messageByNonce.set(nonce, message.messageId);
    return body;
  }

  #requirePlace(header: SealedHeader, message: ReceivedMessage): void {
    const { sessionId, partyId } = this.#place;
    const isHere =
      header.sessionId === sessionId &&
      header.from === message.from &&
      header.round === message.round &&
      header.type === message.type &&
      header.isBroadcast === message.isBroadcast &&
      header.to.includes(partyId);
    if (!isHere) throw new SealError("MISDIRECTED", "it was sealed for another place");
    if (header.isBroadcast && !this.#isForAll(header)) {
      throw new SealError("MISDIRECTED", "it is a broadcast to some only");
    }
  }

  #isForAll({ from, to }: SealedHeader): boolean {
    const recipients = new Set(to);
    const { parties } = this.#place;
    return (
      recipients.size === parties.length - 1 &&
      parties.every(({ partyId }) => partyId === from || recipients.has(partyId))
    );
  }

  #requireNew(header: SealedHeader, message: ReceivedMessage): void {
    const before = this.#messageByNonce.get(hex(header.nonce));
    if (before !== undefined && before !== message.messageId) {
      throw new SealError("REPLAYED", `it came before, as message ${before}`);
    }
    if (before === undefined && this.#messageByNonce.size >= mostNonces) {
      throw new SealError("TOO_MANY", `more than ${mostNonces} messages`);
    }
  }
}
