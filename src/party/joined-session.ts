import type { JoinSessionResponse } from "../../gen/mpc/router/v1/message_router_pb.js";
import type { EventHub } from "./event-hub.ts";
import { Inbox } from "./inbox.ts";
import type { WaitOptions } from "./wait-options.ts";
import { closedError, invalid } from "./party-error.ts";
import type {
  DeliveryStatus,
  MessagesOptions,
  OutgoingMessage,
  PartySession,
  ReceivedMessage,
  SessionParty,
  SessionResult,
} from "./party-session.ts";
import { either, orAborted, pause } from "./pause.ts";
import type { CallLimits, RouterLink } from "./router-link.ts";
import { SessionWatch, type SessionEnd, type SessionStatus } from "./session-watch.ts";

/** How long closing waits for acknowledgements under way. */
const closeGraceMs = 2_000;

/** What a slow line carries of a payload, in bytes a millisecond: a large one is given more time. */
const slowLineBytesPerMs = 16;
const callMs = 5_000;

const largestRound = 2 ** 31 - 1;

export interface JoinedOptions {
  readonly partyId: string;
  readonly streams: "one" | "many";
  readonly hub: EventHub;
  readonly onClose: () => void;
  /** Aborts when the party is closed. */
  readonly signal: AbortSignal;
}

/** A session that was joined through the link. */
export class JoinedSession implements PartySession {
  readonly sessionId: string;
  readonly partyId: string;
  readonly partyIndex: number;
  readonly parties: readonly SessionParty[];
  readonly type: "keygen" | "sign";
  readonly thresholdN: number;
  readonly thresholdT: number;
  readonly messageHash: Uint8Array;
  readonly inbox: Inbox;
  readonly watch: SessionWatch;
  readonly #link: RouterLink;
  readonly #options: JoinedOptions;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #unwatch: () => void;
  #readying: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(link: RouterLink, joined: JoinSessionResponse, options: JoinedOptions) {
    const { sessionInfo, otherParties, partyIndex } = joined;
    const { partyId, hub } = options;
    this.#link = link;
    this.#options = options;
    this.#signal = either(options.signal, this.#stop.signal);
    this.sessionId = sessionInfo?.sessionId ?? "";
    this.partyId = partyId;
    this.partyIndex = partyIndex;
    this.parties = [...otherParties.map(seatOf), { partyId, partyIndex }].toSorted(
      (a, b) => a.partyIndex - b.partyIndex,
    );
    this.type = sessionInfo?.sessionType === "sign" ? "sign" : "keygen";
    this.thresholdN = sessionInfo?.thresholdN ?? 0;
    this.thresholdT = sessionInfo?.thresholdT ?? 0;
    this.messageHash = sessionInfo?.messageHash ?? new Uint8Array();
    const { sessionId } = this;
    const ask = (signal: AbortSignal): Promise<string> => this.#ask(signal);
    const isFlowing = (): boolean => hub.isFlowing;
    this.watch = new SessionWatch({ sessionId, ask, isFlowing, signal: this.#signal });
    this.watch.note(sessionInfo?.status ?? "");
    this.#unwatch = hub.watch((event) => {
      if (event.sessionId === sessionId) this.watch.hear(event.type);
    });
    this.watch.ending.addEventListener("abort", this.#unwatch, { once: true });
    this.inbox = new Inbox(link, {
      sessionId,
      partyId,
      watch: this.watch,
      ask,
      takeTurn: (signal) => this.#takeTurn(signal),
      signal: this.#signal,
    });
  }

  get ended(): Promise<SessionEnd> {
    return this.watch.ended;
  }

  async ready(options: WaitOptions = {}): Promise<void> {
    const limits = this.#limits(options);
    const readying = this.#ready(limits);
    this.#readying = readying.catch(() => undefined);
    await readying;
  }

  async send(
    to: string | readonly string[],
    message: OutgoingMessage,
    options: WaitOptions = {},
  ): Promise<string> {
    const toParties = typeof to === "string" ? [to] : [...to];
    // On the wire an empty list is a broadcast: a share for nobody must not go to everybody.
    if (toParties.length === 0) throw invalid("to names no party");
    return this.#route(toParties, message, options);
  }

  async broadcast(message: OutgoingMessage, options: WaitOptions = {}): Promise<string> {
    return this.#route([], message, options);
  }

  messages(options: MessagesOptions = {}): AsyncIterableIterator<ReceivedMessage> {
    return this.inbox.messages(options);
  }

  async complete(
    result: SessionResult,
    options: WaitOptions = {},
  ): Promise<{ readonly allCompleted: boolean }> {
    const { sessionId, partyId } = this;
    const limits = this.#limits(options);
    // What is not acknowledged when the session ends counts as failed.
    await this.inbox.settleLast(limits.signal);
    await orAborted(this.inbox.drained(), limits.signal);
    const { publicKey = new Uint8Array(), signature = new Uint8Array() } = result;
    const request = { sessionId, partyId, publicKey, signature };
    try {
      const { allCompleted } = await this.#link.call(
        (call) => this.#link.api.reportCompletion(request, call),
        limits,
      );
      if (allCompleted) this.watch.note("completed");
      return { allCompleted };
    } catch (error) {
      this.watch.noteRefusal(error);
      throw error;
    } finally {
      this.watch.expect("completed");
    }
  }

  async submitDelegateShare(
    share: { readonly encryptedShare: Uint8Array; readonly publicKey: Uint8Array },
    options: WaitOptions = {},
  ): Promise<void> {
    const { sessionId, partyId, partyIndex } = this;
    const { encryptedShare, publicKey } = share;
    const request = { sessionId, partyId, partyIndex, encryptedShare, publicKey };
    await this.#link.call(
      (call) => this.#link.api.submitDelegateShare(request, call),
      this.#limits(options),
    );
  }

  async status(options: WaitOptions = {}): Promise<SessionStatus> {
    const status = await this.#ask(this.#limits(options).signal);
    this.watch.note(status);
    return status as SessionStatus;
  }

  async messageStatus(
    messageId: string,
    options: WaitOptions = {},
  ): Promise<{ allAcknowledged: boolean; deliveries: readonly DeliveryStatus[] }> {
    const { sessionId } = this;
    const { allAcknowledged, deliveries } = await this.#link.call(
      (call) => this.#link.api.getMessageStatus({ sessionId, messageId }, call),
      this.#limits(options),
    );
    return {
      allAcknowledged,
      deliveries: deliveries.map(
        ({ partyId, status, deliveredAt, acknowledgedAt, retryCount }) => ({
          partyId,
          status,
          deliveredAt: Number(deliveredAt),
          acknowledgedAt: Number(acknowledgedAt),
          retryCount,
        }),
      ),
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #ready(limits: CallLimits): Promise<void> {
    const { sessionId, partyId } = this;
    try {
      const { allReady } = await this.#link.call(
        (call) => this.#link.api.markPartyReady({ sessionId, partyId }, call),
        limits,
      );
      if (allReady) this.watch.note("in_progress");
    } catch (error) {
      this.watch.noteRefusal(error);
      throw error;
    }
    await this.watch.started(limits.signal);
  }

  async #route(
    toParties: string[],
    message: OutgoingMessage,
    options: WaitOptions,
  ): Promise<string> {
    const { round, type, payload } = message;
    // What cannot be put on the wire looks like a broken connection, and would be tried for ever.
    if (!Number.isInteger(round) || round < 0 || round > largestRound) {
      throw invalid("round must be a whole number from 0");
    }
    if (!(payload instanceof Uint8Array)) throw invalid("payload must be a Uint8Array");
    const key = idempotencyKey();
    const request = {
      sessionId: this.sessionId,
      fromParty: this.partyId,
      toParties,
      roundNumber: round,
      messageType: type,
      payload,
    };
    try {
      const { messageId } = await this.#link.call(
        (call) => {
          // Under one key the router takes the message once, however often a lost answer makes us repeat the call.
          const headers = new Headers(call.headers);
          headers.set("idempotency-key", key);
          return this.#link.api.routeMessage(request, { ...call, headers });
        },
        {
          signal: either(this.#signal, this.watch.ending, options.signal),
          timeoutMs: callMs + Math.ceil(payload.length / slowLineBytesPerMs),
        },
      );
      return messageId;
    } catch (error) {
      this.watch.noteRefusal(error);
      throw error;
    }
  }

  /** In mode "one" events and messages take turns, and the start of the session is an event. */
  async #takeTurn(signal: AbortSignal): Promise<() => void> {
    if (this.#options.streams === "many") return () => undefined;
    if (this.#readying !== undefined) await orAborted(this.#readying, signal);
    return this.#options.hub.hold();
  }

  async #ask(signal: AbortSignal): Promise<string> {
    const { sessionId } = this;
    const { status } = await this.#link.call(
      (call) => this.#link.api.getSessionStatus({ sessionId }, call),
      { signal },
    );
    return status;
  }

  async #close(): Promise<void> {
    const grace = new AbortController();
    const patience = pause(closeGraceMs, either(this.#signal, grace.signal));
    await Promise.race([this.inbox.drained(), patience.catch(() => undefined)]);
    grace.abort();
    this.#stop.abort(closedError("the session"));
    this.#unwatch();
    await this.watch.stopped();
    this.#options.onClose();
  }

  #limits(options: WaitOptions): CallLimits {
    return { signal: either(this.#signal, options.signal) };
  }
}

function seatOf(party: SessionParty): SessionParty {
  return { partyId: party.partyId, partyIndex: party.partyIndex };
}

/** Not `randomUUID`, which pages without TLS do not have. */
function idempotencyKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
