import { pause } from "../pause.ts";
import type { Credential } from "./credentials.ts";

/** A call that takes longer is made again, in milliseconds. */
const attemptMs = 4_000;
const firstPauseMs = 200;
const longestPauseMs = 1_000;

/** What the router answered, when it did not do as it was asked. */
export class ApiError extends Error {
  override readonly name = "ApiError";
}

const refusedToken = Symbol("the token is not taken");

interface Delivery {
  readonly partyId: string;
  readonly status: "pending" | "delivered" | "acknowledged" | "failed";
  readonly deliveredAt: string;
  readonly acknowledgedAt: string;
  readonly retryCount: number;
}

export interface SessionView {
  readonly sessionId: string;
  readonly status: "created" | "in_progress" | "completed" | "failed" | "expired";
  readonly parties: readonly { readonly partyId: string; readonly state: string }[];
  /** Base64. */
  readonly publicKey: string;
  readonly signature: string;
  readonly failureReason: string;
}

export interface NewSession {
  readonly sessionType: "keygen" | "sign";
  readonly thresholdN: number;
  readonly thresholdT: number;
  readonly selectedParties: readonly string[];
  /** Base64. */
  readonly messageHash?: string;
  readonly keygenSessionId?: string;
}

interface CoordinatorApiOptions {
  /** Of the router. */
  readonly origin: string;
  readonly credential: Credential;
  readonly onReach: (isReached: boolean) => void;
}

/** The wallet's backend, in plain JSON: it orders keys and signatures and watches them, and never sees a share. */
export class CoordinatorApi {
  readonly #options: CoordinatorApiOptions;

  constructor(options: CoordinatorApiOptions) {
    this.#options = options;
  }

  /** Creates a session, once, however often the call must be repeated; resolves with its id. */
  async createSession(order: NewSession): Promise<string> {
    const request = { requestId: randomId(), ...order };
    const answer = await this.#call<{ session: SessionView }>("CreateSession", request);
    return answer.session.sessionId;
  }

  async session(sessionId: string): Promise<SessionView> {
    const answer = await this.#call<{ session: SessionView }>("GetSession", { sessionId });
    return answer.session;
  }

  async cancel(sessionId: string, reason: string): Promise<void> {
    await this.#call("CancelSession", { sessionId, reason });
  }

  async messageStatus(sessionId: string, messageId: string): Promise<readonly Delivery[]> {
    const request = { sessionId, messageId };
    const answer = await this.#call<{ deliveries: Delivery[] }>("GetMessageStatus", request);
    return answer.deliveries;
  }

  async onlineParties(): Promise<readonly string[]> {
    const request = { onlyOnline: true };
    const answer = await this.#call<{ parties: { partyId: string }[] }>(
      "GetRegisteredParties",
      request,
    );
    return answer.parties.map((party) => party.partyId);
  }

  /** Repeats a call while the router is away. */
  async #call<T>(method: string, request: object): Promise<T> {
    for (let tries = 0; ; tries++) {
      const token = await this.#options.credential.current();
      const answer = await this.#attempt(method, request, token);
      this.#options.onReach(answer !== undefined);
      // The next one is another, for which the user is asked.
      if (answer === refusedToken) continue;
      if (answer !== undefined) return answer as T;
      await pause(Math.min(longestPauseMs, firstPauseMs * 2 ** tries));
    }
  }

  /** `undefined`: not now. */
  async #attempt(method: string, request: object, token?: string): Promise<unknown> {
    const { origin, credential } = this.#options;
    try {
      const answer = await fetch(`${origin}/${serviceOf(method)}/${method}`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        body: JSON.stringify(request),
        signal: AbortSignal.timeout(attemptMs),
      });
      if (answer.ok) return await answer.json();
      if (answer.status === 503) return undefined;
      if (answer.status === 401 && token !== undefined) {
        credential.refused(token);
        return refusedToken;
      }
      const { message = answer.statusText } = (await answer.json()) as { message?: string };
      throw new ApiError(message);
    } catch (error) {
      if (error instanceof ApiError) throw error;
      // The router is away, or was stopped while it answered.
      return undefined;
    }
  }
}

const coordinatorMethods: ReadonlySet<string> = new Set([
  "CreateSession",
  "GetSession",
  "CancelSession",
]);

function serviceOf(method: string): string {
  return coordinatorMethods.has(method)
    ? "mpc.coordinator.v1.SessionCoordinator"
    : "mpc.router.v1.MessageRouter";
}

function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}
