import { createClient, type CallOptions, type Client, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { MessageRouter } from "../../gen/mpc/router/v1/message_router_pb.js";
import type { Protocol } from "./party-messages.ts";
import { backOff, isTransient } from "./retry.ts";

/** One attempt of a call; the router answers or refuses within 2.5 s, so what takes longer is lost. */
const attemptTimeoutMs = 5_000;

/** A router sends the headers of a stream at once; a stream without them is a dead connection. */
const headersTimeoutMs = 5_000;

/** How often HTTP/2 asks whether the other end is still there. HTTP/1.1 has no such question. */
const pingIntervalMs = 5_000;

const transports: Readonly<Record<Protocol, (baseUrl: string) => Transport>> = {
  grpc: (baseUrl) => createGrpcTransport({ baseUrl, pingIntervalMs, pingTimeoutMs: 5_000 }),
  "grpc-web": (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
  "connect-json": (baseUrl) =>
    createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false }),
};

export function createPartyTransport(url: string, protocol: Protocol): Transport {
  return transports[protocol](url);
}

/** A party's way to the router, which outlives every connection: calls and streams are tried again until aborted. */
export class RouterLink {
  readonly api: Client<typeof MessageRouter>;
  readonly #signal: AbortSignal;
  readonly #onTrouble: (message: string) => void;
  #inTrouble = false;
  #retries = 0;
  #reconnects = 0;

  /** `onTrouble` hears why the router was not reached, and an empty text when it is again. */
  constructor(transport: Transport, onTrouble: (message: string) => void, signal: AbortSignal) {
    this.#onTrouble = onTrouble;
    this.api = createClient(MessageRouter, transport);
    this.#signal = signal;
  }

  get retries(): number {
    return this.#retries;
  }

  get reconnects(): number {
    return this.#reconnects;
  }

  /** Makes a call until it is answered or refused. The call must be one that may be repeated. */
  async call<T>(
    attempt: (options: CallOptions) => Promise<T>,
    signal: AbortSignal = this.#signal,
  ): Promise<T> {
    for (let tries = 0; ; tries++) {
      try {
        const answer = await attempt({ signal, timeoutMs: attemptTimeoutMs });
        this.#note("");
        return answer;
      } catch (error) {
        signal.throwIfAborted();
        this.#requireTransient(error);
      }
      this.#retries++;
      await backOff(tries, signal);
    }
  }

  /** Yields what a stream gives, opening it again whenever it breaks, until the router ends it or the signal fires. */
  async *follow<T>(
    open: (options: CallOptions) => AsyncIterable<T>,
    signal: AbortSignal,
  ): AsyncGenerator<T, void, undefined> {
    for (let tries = 0; ; tries++) {
      const stream = new AbortController();
      const late = setTimeout(() => stream.abort(), headersTimeoutMs);
      const onHeader = (): void => {
        tries = 0;
        this.#note("");
        clearTimeout(late);
      };
      try {
        yield* open({ signal: AbortSignal.any([signal, stream.signal]), onHeader });
        return;
      } catch (error) {
        signal.throwIfAborted();
        this.#requireTransient(error);
      } finally {
        // Also when the reader has seen enough: leaving the loop alone would not end the request.
        clearTimeout(late);
        stream.abort();
      }
      this.#reconnects++;
      await backOff(tries, signal);
    }
  }

  /** Throws what will not pass. */
  #requireTransient(error: unknown): void {
    if (!isTransient(error)) throw error;
    this.#note(error instanceof Error ? error.message : String(error));
  }

  #note(trouble: string): void {
    if (trouble === "" && !this.#inTrouble) return;
    this.#inTrouble = trouble !== "";
    this.#onTrouble(trouble);
  }
}
