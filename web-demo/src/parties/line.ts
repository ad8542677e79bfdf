import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type Interceptor, type StreamResponse } from "@connectrpc/connect";
import {
  AcknowledgeMessageResponseSchema,
  MessageRouter,
  type AcknowledgeMessageRequest,
  type MPCMessage,
  type RouteMessageRequest,
  type RouteMessageResponse,
} from "../../../gen/mpc/router/v1/message_router_pb.js";
import type { News } from "./party-messages.ts";

/** How long a message stays unacknowledged in sight, before the stream is cut and the router delivers it again. */
const lostAckMs = 900;

/** However it goes, a session is not held up for longer, in milliseconds. */
const longestOweMs = 4_000;

/** Ids of messages that came in, to tell those that come again; more than any demonstration has. */
const mostIds = 10_000;

type Request = Parameters<ReturnType<Interceptor>>[0];
type Response = Awaited<ReturnType<ReturnType<Interceptor>>>;

/**
 * A party's line to the router, and the trouble that can be made on it: the party is cut off, an acknowledgement gets lost, a
 * payload is changed on its way. The party itself does not know.
 */
export class Line {
  readonly #tell: (news: News) => void;
  readonly #seen = new Set<string>();
  #cut = new AbortController();
  #online = Promise.withResolvers<void>();
  #isOffline = false;
  #losesAcknowledgement = false;
  #tampers = false;
  /** The message whose acknowledgement was lost, until it comes again. */
  #owed: { readonly messageId: string; readonly again: PromiseWithResolvers<void> } | undefined;

  constructor(tell: (news: News) => void) {
    this.#tell = tell;
    this.#online.resolve();
  }

  setOffline(isOffline: boolean): void {
    if (isOffline === this.#isOffline) return;
    this.#isOffline = isOffline;
    if (isOffline) {
      this.#online = Promise.withResolvers();
      this.#cutAll();
    } else {
      this.#online.resolve();
    }
  }

  /** The next acknowledgement never reaches the router, though the party believes so. */
  loseAcknowledgement(isArmed: boolean): void {
    this.#losesAcknowledgement = isArmed;
  }

  /** The next payload that comes in is another one than was sent. */
  tamper(isArmed: boolean): void {
    this.#tampers = isArmed;
  }

  readonly interceptor: Interceptor = (next) => async (request) => {
    await this.#whenOnline(request.signal);
    if (this.#isLost(request)) return this.#falseAnswer(request);
    // Nothing is delivered again in a session that has ended: it ends once this was seen.
    if (request.method === MessageRouter.method.reportCompletion) await this.#owed?.again.promise;
    const signal = AbortSignal.any([request.signal, this.#cut.signal]);
    const answer = await next({ ...request, signal });
    if (answer.stream) return this.#watched(answer);
    this.#noteSent(request, answer);
    return answer;
  };

  /** Calls of a party that is offline wait for its return, or for the party to give up. */
  async #whenOnline(signal: AbortSignal): Promise<void> {
    const givenUp = Promise.withResolvers<void>();
    const onAbort = (): void => givenUp.resolve();
    signal.addEventListener("abort", onAbort);
    await Promise.race([this.#online.promise, givenUp.promise]);
    signal.removeEventListener("abort", onAbort);
    if (this.#isOffline) throw new ConnectError("the party is offline", Code.Unavailable);
  }

  #isLost(request: Request): boolean {
    if (!this.#losesAcknowledgement) return false;
    if (request.method !== MessageRouter.method.acknowledgeMessage) return false;
    return (request.message as AcknowledgeMessageRequest).success;
  }

  #falseAnswer(request: Request): Response {
    this.#losesAcknowledgement = false;
    const { messageId } = request.message as AcknowledgeMessageRequest;
    this.#tell({ kind: "acknowledgement-lost", messageId });
    const again = Promise.withResolvers<void>();
    this.#owed = { messageId, again };
    setTimeout(() => this.#cutAll(), lostAckMs);
    setTimeout(() => again.resolve(), longestOweMs);
    return {
      stream: false,
      service: MessageRouter,
      method: MessageRouter.method.acknowledgeMessage,
      header: new Headers(),
      trailer: new Headers(),
      message: create(AcknowledgeMessageResponseSchema, { success: true }),
    };
  }

  #cutAll(): void {
    this.#cut.abort(new ConnectError("the line was cut", Code.Unavailable));
    this.#cut = new AbortController();
  }

  #noteSent(request: Request, answer: Response): void {
    if (request.method !== MessageRouter.method.routeMessage) return;
    const sent = request.message as RouteMessageRequest;
    const { messageId } = answer.message as RouteMessageResponse;
    const { sessionId, fromParty, toParties, roundNumber, messageType, payload } = sent;
    this.#tell({
      kind: "sent",
      message: {
        messageId,
        sessionId,
        from: fromParty,
        to: toParties,
        isBroadcast: toParties.length === 0,
        round: roundNumber,
        type: messageType,
        payload,
      },
    });
  }

  #watched(answer: StreamResponse): StreamResponse {
    if (answer.method !== MessageRouter.method.subscribeMessages) return answer;
    const messages = answer.message as AsyncIterable<MPCMessage>;
    const arrive = (message: MPCMessage): MPCMessage => this.#arrive(message);
    async function* arriving(): AsyncGenerator<MPCMessage> {
      for await (const message of messages) yield arrive(message);
    }
    return { ...answer, message: arriving() };
  }

  #arrive(message: MPCMessage): MPCMessage {
    const { messageId, sessionId, fromParty, isBroadcast, roundNumber, messageType } = message;
    const routed = { messageId, sessionId, from: fromParty, to: [], isBroadcast };
    const isRepeat = this.#seen.has(messageId);
    if (this.#seen.size < mostIds) this.#seen.add(messageId);
    if (isRepeat && this.#owed?.messageId === messageId) this.#owed.again.resolve();
    this.#tell({
      kind: "arrived",
      message: { ...routed, round: roundNumber, type: messageType, payload: message.payload },
      isRepeat,
    });
    if (!this.#tampers || isRepeat) return message;
    this.#tampers = false;
    const payload = changed(message.payload);
    this.#tell({ kind: "changed", messageId, payload });
    return { ...message, payload };
  }
}

/** One bit of the sealed body, which ends before the signature of 64 bytes. */
function changed(payload: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(payload);
  const index = Math.max(0, copy.length - 80);
  copy[index] = (copy[index] ?? 0) ^ 1;
  return copy;
}
