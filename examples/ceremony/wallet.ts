import { randomUUID } from "node:crypto";
import { createClient, type Client, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { SessionCoordinator, type Session } from "../../gen/mpc/coordinator/v1/coordinator_pb.js";
import { backOff, isTransient } from "../../src/party/index.ts";

const attemptTimeoutMs = 5_000;

const terminal: ReadonlySet<string> = new Set(["completed", "failed", "expired"]);

/** What the wallet backend asks for. */
export type NewSession =
  | { readonly type: "keygen"; readonly parties: readonly string[] }
  | {
      readonly type: "sign";
      readonly parties: readonly string[];
      readonly keygenSessionId: string;
      readonly messageHash: Uint8Array;
    };

export interface Threshold {
  /** Shares of the key. */
  readonly n: number;
  /** Parties needed to sign. */
  readonly t: number;
}

interface WalletOptions {
  readonly url: string;
  readonly threshold: Threshold;
  readonly signal: AbortSignal;
  /** A credential of the coordinator; undefined where the router wants none. */
  readonly token: (() => Promise<string>) | undefined;
}

/** The wallet backend: it orders keys and signatures, and never sees a share. */
export class Wallet {
  readonly #api: Client<typeof SessionCoordinator>;
  readonly #threshold: Threshold;
  readonly #signal: AbortSignal;

  constructor({ url, threshold, signal, token }: WalletOptions) {
    const interceptors = token === undefined ? [] : [showing(token)];
    const transport = createConnectTransport({ baseUrl: url, httpVersion: "1.1", interceptors });
    this.#api = createClient(SessionCoordinator, transport);
    this.#threshold = threshold;
    this.#signal = signal;
  }

  /** Creates a session, once, however often the call must be repeated; resolves with its id. */
  async create(order: NewSession): Promise<string> {
    const request = {
      requestId: randomUUID(),
      sessionType: order.type,
      thresholdN: this.#threshold.n,
      thresholdT: this.#threshold.t,
      selectedParties: [...order.parties],
      ...(order.type === "sign"
        ? { keygenSessionId: order.keygenSessionId, messageHash: order.messageHash }
        : {}),
    };
    const { session } = await this.#persist(async () => {
      const options = { signal: this.#signal, timeoutMs: attemptTimeoutMs };
      return this.#api.createSession(request, options);
    });
    if (session === undefined) throw new Error("the router created a session without saying which");
    return session.sessionId;
  }

  /** Watches a session to its end; resolves with it when completed, rejects when it failed or expired. */
  async completed(sessionId: string): Promise<Session> {
    const session = await this.#persist(async () => this.#watchToEnd(sessionId));
    if (session.status === "completed") return session;
    const why = session.failureReason === "" ? "" : `: ${session.failureReason}`;
    throw new Error(`session ${sessionId} has ${session.status}${why}`);
  }

  async #watchToEnd(sessionId: string): Promise<Session> {
    const stream = new AbortController();
    const signal = AbortSignal.any([this.#signal, stream.signal]);
    try {
      for await (const session of this.#api.watchSession({ sessionId }, { signal })) {
        if (terminal.has(session.status)) return session;
      }
      throw new Error(
        `the router ended the watch of session ${sessionId} before the session ended`,
      );
    } finally {
      stream.abort();
    }
  }

  async #persist<T>(attempt: () => Promise<T>): Promise<T> {
    for (let tries = 0; ; tries++) {
      try {
        return await attempt();
      } catch (error) {
        this.#signal.throwIfAborted();
        if (!isTransient(error)) throw error;
      }
      await backOff(tries, this.#signal);
    }
  }
}

function showing(token: () => Promise<string>): Interceptor {
  return (next) => async (request) => {
    request.header.set("authorization", `Bearer ${await token()}`);
    return next(request);
  };
}
