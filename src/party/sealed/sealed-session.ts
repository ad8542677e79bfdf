import { Code } from "@connectrpc/connect";
import type { WaitOptions } from "../wait-options.ts";
import { invalid, PartyError } from "../party-error.ts";
import type {
  DeliveryStatus,
  MessagesOptions,
  OutgoingMessage,
  PartySession,
  ReceivedMessage,
  SessionParty,
  SessionResult,
} from "../party-session.ts";
import { either } from "../pause.ts";
import type { SessionEnd, SessionStatus } from "../session-watch.ts";
import { BroadcastEcho, echoType } from "./broadcast-echo.ts";
import type { Identity, PublicIdentity } from "./identity.ts";
import { Opener } from "./opener.ts";
import { SealError } from "./seal-error.ts";
import { SealedMail } from "./sealed-mail.ts";
import { encodeHeader, newNonce, type SealedHeader } from "./sealed-header.ts";
import { seal } from "./sealing.ts";

export interface SealOptions {
  readonly identity: Identity;
  /** Of every other party of the session, by id. Known beforehand and not from the router. */
  readonly peers: ReadonlyMap<string, PublicIdentity>;
  /**
   * Hears of messages that were refused because they are not what their senders sealed. Without it, the loop over the
   * messages throws the error; it may be begun anew.
   */
  readonly onRefused?: (error: SealError) => void;
}

/** A session whose payloads only their recipients can read, and that come from whom they say. */
export interface SealedSession extends PartySession {
  /**
   * Makes sure that all parties saw the same broadcasts of a round. Every party calls it; it waits for one broadcast of
   * each other party, so who broadcasts several in a round is to be heard out before. Throws EQUIVOCATION, with whom it
   * differs with, when somebody was shown others. From then on no broadcast of the round is taken.
   */
  confirmBroadcasts(round: number, options?: ConfirmOptions): Promise<void>;
}

export interface ConfirmOptions extends WaitOptions {
  /** Who broadcasts in the round; default: all parties. */
  readonly senders?: readonly string[];
}

/** Seals the messages of a session. Throws UNKNOWN_PEER when the key of a party is missing. */
export function sealSession(session: PartySession, options: SealOptions): SealedSession {
  return new SealedChannel(session, options);
}

class SealedChannel implements SealedSession {
  readonly #session: PartySession;
  readonly #options: SealOptions;
  readonly #others: readonly string[];
  readonly #echo: BroadcastEcho;
  readonly #mail: SealedMail;

  constructor(session: PartySession, options: SealOptions) {
    this.#session = session;
    this.#options = options;
    this.#others = session.parties
      .map(({ partyId }) => partyId)
      .filter((partyId) => partyId !== session.partyId);
    for (const partyId of this.#others) this.#keyOf(partyId);
    this.#echo = new BroadcastEcho(session.parties, session.partyId);
    const opener = new Opener(session, { ...options, echo: this.#echo });
    this.#mail = new SealedMail(session, opener, options.onRefused);
  }

  get sessionId(): string {
    return this.#session.sessionId;
  }

  get partyId(): string {
    return this.#session.partyId;
  }

  get partyIndex(): number {
    return this.#session.partyIndex;
  }

  get parties(): readonly SessionParty[] {
    return this.#session.parties;
  }

  get type(): "keygen" | "sign" {
    return this.#session.type;
  }

  get thresholdN(): number {
    return this.#session.thresholdN;
  }

  get thresholdT(): number {
    return this.#session.thresholdT;
  }

  get messageHash(): Uint8Array {
    return this.#session.messageHash;
  }

  get ended(): Promise<SessionEnd> {
    return this.#session.ended;
  }

  ready(options?: WaitOptions): Promise<void> {
    return this.#session.ready(options);
  }

  async send(
    to: string | readonly string[],
    message: OutgoingMessage,
    options?: WaitOptions,
  ): Promise<string> {
    requireOwnType(message);
    const recipients = [...new Set(typeof to === "string" ? [to] : to)];
    const sealed = await this.#seal(this.#headerOf(message, recipients, false), message.payload);
    return this.#session.send(recipients, { ...message, payload: sealed }, options);
  }

  async broadcast(message: OutgoingMessage, options?: WaitOptions): Promise<string> {
    requireOwnType(message);
    const header = this.#headerOf(message, this.#others, true);
    const { round, from } = header;
    await this.#echo.saw({ round, from, headerBytes: encodeHeader(header) }, message.payload);
    return this.#broadcast(header, message, options);
  }

  messages(options?: MessagesOptions): AsyncIterableIterator<ReceivedMessage> {
    return this.#mail.messages(options);
  }

  async confirmBroadcasts(round: number, options: ConfirmOptions = {}): Promise<void> {
    const senders = (options.senders ?? this.#others).filter((id) => id !== this.partyId);
    const hasSeen = async (): Promise<boolean> => this.#echo.hasSeen(round, senders);
    await this.#receiveUntil(hasSeen, options);
    const message = { round, type: echoType, payload: await this.#echo.confirm(round) };
    await this.#broadcast(this.#headerOf(message, this.#others, true), message, options);
    await this.#receiveUntil(() => this.#echo.isAgreed(round), options);
  }

  async complete(
    result: SessionResult,
    options?: WaitOptions,
  ): Promise<{ readonly allCompleted: boolean }> {
    this.#mail.settleLast();
    return this.#session.complete(result, options);
  }

  submitDelegateShare(
    share: { readonly encryptedShare: Uint8Array; readonly publicKey: Uint8Array },
    options?: WaitOptions,
  ): Promise<void> {
    return this.#session.submitDelegateShare(share, options);
  }

  status(options?: WaitOptions): Promise<SessionStatus> {
    return this.#session.status(options);
  }

  messageStatus(
    messageId: string,
    options?: WaitOptions,
  ): Promise<{
    readonly allAcknowledged: boolean;
    readonly deliveries: readonly DeliveryStatus[];
  }> {
    return this.#session.messageStatus(messageId, options);
  }

  close(): Promise<void> {
    return this.#session.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #receiveUntil(condition: () => Promise<boolean>, options: WaitOptions): Promise<void> {
    if (await this.#mail.receiveUntil(condition, either(options.signal))) return;
    const { status } = await this.ended;
    throw new PartyError(`SESSION_${status.toUpperCase()}`, "the session has ended", {
      code: Code.FailedPrecondition,
    });
  }

  async #broadcast(
    header: SealedHeader,
    message: OutgoingMessage,
    options?: WaitOptions,
  ): Promise<string> {
    const payload = await this.#seal(header, message.payload);
    return this.#session.broadcast({ ...message, payload }, options);
  }

  #headerOf(message: OutgoingMessage, to: readonly string[], isBroadcast: boolean): SealedHeader {
    const { sessionId, partyId: from } = this.#session;
    const { round, type } = message;
    return { sessionId, from, to, isBroadcast, round, type, nonce: newNonce() };
  }

  async #seal(header: SealedHeader, body: Uint8Array): Promise<Uint8Array> {
    const { identity } = this.#options;
    const recipients = header.to.map((partyId) => this.#keyOf(partyId));
    return seal(header, body, { identity, recipients });
  }

  #keyOf(partyId: string): PublicIdentity {
    const key = this.#options.peers.get(partyId);
    if (key === undefined) {
      throw new SealError("UNKNOWN_PEER", `no key is pinned for ${partyId}`, { partyId });
    }
    return key;
  }
}

function requireOwnType({ type }: OutgoingMessage): void {
  if (type === echoType) throw invalid(`type ${echoType} is the channel's own`);
}
