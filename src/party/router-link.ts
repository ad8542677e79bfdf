import {
  Code,
  ConnectError,
  createClient,
  type CallOptions,
  type Client,
  type Transport,
} from "@connectrpc/connect";
import { MessageRouter } from "../../gen/mpc/router/v1/message_router_pb.js";
import type { BearerToken } from "./bearer-token.ts";
import { abortedBy, isTransient, partyErrorOf, PartyError } from "./party-error.ts";
import { backOff, either, orAborted } from "./pause.ts";

/** One attempt of a call; the router answers or refuses within 2.5 s, so what takes longer is lost. */
const attemptTimeoutMs = 5_000;

/** A router sends the headers of a stream at once; a stream without them is a dead connection. */
const headersTimeoutMs = 5_000;

/** A token that a stream was open with for so long was accepted. */
const lastingMs = 1_000;

/** A stream that was open is opened again within 0.8 s. */
const mostTriesOnceOpen = 2;

export type PartyState = "connecting" | "connected" | "reconnecting";

export interface LinkOptions {
  readonly transport: Transport;
  readonly token: BearerToken;
  /** Hears every change, and why the router was not reached. */
  readonly onState?: ((state: PartyState, cause?: PartyError) => void) | undefined;
}

export interface CallLimits {
  readonly signal: AbortSignal;
  /** Of one attempt, in milliseconds; default 5,000. */
  readonly timeoutMs?: number;
}

export interface FollowOptions {
  readonly signal: AbortSignal;
  /** Opens the stream anew whenever it was silent for that long, in milliseconds. Default: never. */
  readonly silentMs?: number;
  /** The router does not end it: when it does, that is a break like any other. Default: the follower ends too. */
  readonly isEndless?: boolean;
  /** Filled in with the way to have the stream opened anew. */
  readonly control?: StreamControl;
}

/** A handle on a followed stream. */
export interface StreamControl {
  reopen?: (() => void) | undefined;
}

/** A party's way to the router, which outlives every connection: calls and streams are tried again until aborted. */
export class RouterLink {
  readonly api: Client<typeof MessageRouter>;
  readonly #options: LinkOptions;
  #state: PartyState = "connecting";
  #retries = 0;
  #reconnects = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.api = createClient(MessageRouter, options.transport);
  }

  /** Calls made again after a transient failure. */
  get retries(): number {
    return this.#retries;
  }

  /** Streams opened again. */
  get reconnects(): number {
    return this.#reconnects;
  }

  /** Makes a call until it is answered or refused. The call must be one that may be repeated. */
  async call<T>(attempt: (options: CallOptions) => Promise<T>, limits: CallLimits): Promise<T> {
    const { signal, timeoutMs = attemptTimeoutMs } = limits;
    const credential = new Credential();
    for (let tries = 0; ; tries++) {
      try {
        const headers = await this.#headers(credential, signal);
        const answer = await attempt({ signal, timeoutMs, headers });
        this.#well();
        return answer;
      } catch (error) {
        if (signal.aborted) throw abortedBy(signal);
        if (this.#mayRenew(error, credential)) continue;
        this.#requireTransient(error);
      }
      this.#retries++;
      await backOff(tries, signal);
    }
  }

  /** Makes a call once. */
  async attempt<T>(attempt: (options: CallOptions) => Promise<T>, limits: CallLimits): Promise<T> {
    const { signal, timeoutMs = attemptTimeoutMs } = limits;
    const credential = new Credential();
    try {
      const headers = await this.#headers(credential, signal);
      const answer = await attempt({ signal, timeoutMs, headers });
      this.#well();
      return answer;
    } catch (error) {
      if (signal.aborted) throw abortedBy(signal);
      this.#mayRenew(error, credential);
      if (isTransient(error)) this.#trouble(error);
      throw partyErrorOf(error);
    }
  }

  /** Yields what a stream gives, opening it again whenever it breaks, until the router ends it or the signal fires. */
  async *follow<T>(
    open: (options: CallOptions) => AsyncIterable<T>,
    options: FollowOptions,
  ): AsyncGenerator<T, void, undefined> {
    const { signal, control = {} } = options;
    const credential = new Credential();
    for (let tries = 0; ; tries++) {
      const stream = new OpenStream(options.silentMs);
      control.reopen = () => stream.abort();
      const onHeader = (): void => {
        // One that breaks as soon as it is open is not opened at full speed.
        tries = Math.min(tries, mostTriesOnceOpen);
        this.#well();
        stream.opened();
      };
      try {
        const headers = await this.#headers(credential, signal);
        stream.opening();
        const limited = either(signal, stream.signal);
        for await (const item of open({ signal: limited, headers, onHeader })) {
          tries = 0;
          credential.isRenewed = false;
          stream.rest();
          yield item;
          stream.listen();
        }
        if (options.isEndless !== true) return;
      } catch (error) {
        if (signal.aborted) throw abortedBy(signal);
        if (stream.wasOpen && stream.signal.aborted) continue;
        if (stream.hasLasted) credential.isRenewed = false;
        if (stream.signal.aborted) this.#trouble(error);
        else if (!this.#mayRenew(error, credential)) this.#requireTransient(error);
      } finally {
        // Also when the reader has seen enough: leaving the loop alone would not end the request.
        control.reopen = undefined;
        stream.abort();
      }
      this.#reconnects++;
      await backOff(tries, signal);
    }
  }

  async #headers(credential: Credential, signal: AbortSignal): Promise<Record<string, string>> {
    try {
      credential.token = await orAborted(this.#options.token.current(), signal);
    } catch (error) {
      if (error instanceof PartyError) throw error;
      // Whoever issues the tokens may be away like the router itself.
      const text = "the token source failed";
      throw new ConnectError(text, Code.Unavailable, undefined, undefined, error);
    }
    const { token } = credential;
    return token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  /** A token may have grown old unnoticed: the next one is shown, but only once. */
  #mayRenew(error: unknown, credential: Credential): boolean {
    const { token, isRenewed } = credential;
    if (token === undefined || partyErrorOf(error).code !== Code.Unauthenticated) return false;
    this.#options.token.refused(token);
    credential.isRenewed = true;
    return !isRenewed;
  }

  /** Throws what will not pass. */
  #requireTransient(error: unknown): void {
    if (!isTransient(error)) throw partyErrorOf(error);
    this.#trouble(error);
  }

  #well(): void {
    if (this.#state === "connected") return;
    this.#state = "connected";
    this.#tell(this.#state);
  }

  #trouble(error: unknown): void {
    if (this.#state === "connected") this.#state = "reconnecting";
    this.#tell(this.#state, partyErrorOf(error));
  }

  /** On its own, so that what the listener throws does not look like an answer of the router. */
  #tell(state: PartyState, cause?: PartyError): void {
    const { onState } = this.#options;
    if (onState !== undefined) queueMicrotask(() => onState(state, cause));
  }
}

/** The token that a call shows. */
class Credential {
  token: string | undefined;
  /** One was refused already, and this is another. */
  isRenewed = false;
}

/** One connection of a followed stream: aborted when its headers do not come, and when it is silent for too long. */
class OpenStream {
  readonly #stop = new AbortController();
  readonly #silentMs: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #openedAt: number | undefined;

  constructor(silentMs: number | undefined) {
    this.#silentMs = silentMs;
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  get wasOpen(): boolean {
    return this.#openedAt !== undefined;
  }

  /** What it was opened with was good. */
  get hasLasted(): boolean {
    return this.#openedAt !== undefined && performance.now() - this.#openedAt > lastingMs;
  }

  opening(): void {
    this.#timer = setTimeout(() => this.abort(), headersTimeoutMs);
  }

  opened(): void {
    this.#openedAt = performance.now();
    this.listen();
  }

  /** The reader waits for the next item. */
  listen(): void {
    this.rest();
    if (this.#silentMs === undefined || this.#stop.signal.aborted) return;
    this.#timer = setTimeout(() => this.abort(), this.#silentMs);
  }

  /** The reader is busy. */
  rest(): void {
    clearTimeout(this.#timer);
  }

  abort(): void {
    this.rest();
    this.#stop.abort();
  }
}
