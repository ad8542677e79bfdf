import {
  createConnectRouter,
  createContextKey,
  createContextValues,
  type ConnectError,
  type ConnectRouter,
} from "@connectrpc/connect";
import {
  createAsyncIterable,
  type UniversalHandler,
  type UniversalHandlerFn,
  type UniversalServerResponse,
} from "@connectrpc/connect/protocol";

/** Why the port refuses a call before any handler sees it. */
export interface Refusal {
  readonly reason:
    "UNIMPLEMENTED" | "FOREIGN_HOST" | "FOREIGN_ORIGIN" | "UNAUTHENTICATED" | "RATE_LIMITED";
  readonly detail: string;
  /** When the caller should try again, in milliseconds. */
  readonly retryAfterMs?: number;
}

/** For requests that are no calls; the codes of calls are said where errors are put into words. */
const statuses: Record<Refusal["reason"], number> = {
  UNIMPLEMENTED: 404,
  FOREIGN_HOST: 403,
  FOREIGN_ORIGIN: 403,
  UNAUTHENTICATED: 401,
  RATE_LIMITED: 429,
};

/** The answer to a call of a method that is not served. */
export const unknownMethod: Refusal = {
  reason: "UNIMPLEMENTED",
  detail: "this server has no such method",
};

/** Set for each call that is refused. */
const refuseKey = createContextKey<() => never>(() => {
  throw new Error("the call is not told why it is refused");
});

/**
 * Makes handlers that refuse: calls in the protocol of the caller, everything else with a line of text. Takes the shapes
 * of a unary and of a streaming answer from methods that are served.
 */
export function createRefuser(
  served: readonly UniversalHandler[],
  errorOf: (refusal: Refusal) => ConnectError,
): (refusal: Refusal) => UniversalHandlerFn {
  const router = createConnectRouter({
    requestGate: (context) => context.values.get(refuseKey)(),
  });
  registerLike(router, served, "unary");
  registerLike(router, served, "server_streaming");
  return (refusal) => async (request) => {
    const contentType = request.header.get("content-type");
    const handler = router.handlers.find((candidate) =>
      candidate.supportedContentType(contentType),
    );
    if (request.method !== "POST" || handler === undefined) return plainRefusal(refusal);
    const contextValues = request.contextValues ?? createContextValues();
    contextValues.set(refuseKey, () => {
      throw errorOf(refusal);
    });
    const answer = await handler({ ...request, contextValues });
    // Connect has a status for what is not there (404) beside the one of the code (501); the others say 200.
    return answer.status === 501 ? { ...answer, status: 404 } : answer;
  };
}

function plainRefusal({ reason, detail }: Refusal): UniversalServerResponse {
  const status = statuses[reason];
  return textAnswer(status, status === 404 ? "not found" : `${reason}: ${detail}`);
}

export function textAnswer(
  status: number,
  line: string,
): UniversalServerResponse & { readonly header: Headers } {
  const header = new Headers({ "content-type": "text/plain; charset=utf-8" });
  return { status, header, body: createAsyncIterable([Buffer.from(`${line}\n`)]) };
}

function registerLike(
  router: ConnectRouter,
  served: readonly UniversalHandler[],
  kind: "unary" | "server_streaming",
): void {
  const method = served.find((handler) => handler.method.methodKind === kind)?.method;
  // The gate refuses before the implementation is reached, so a service without one will do.
  if (method !== undefined) {
    router.service({ ...method.parent, methods: [method] }, {});
  }
}
