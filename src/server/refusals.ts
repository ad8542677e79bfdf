import {
  Code,
  ConnectError,
  createConnectRouter,
  createContextKey,
  createContextValues,
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

interface Wording {
  readonly code: Code;
  /** For requests that are no calls. */
  readonly status: number;
}

const wordings: Record<Refusal["reason"], Wording> = {
  UNIMPLEMENTED: { code: Code.Unimplemented, status: 404 },
  FOREIGN_HOST: { code: Code.PermissionDenied, status: 403 },
  FOREIGN_ORIGIN: { code: Code.PermissionDenied, status: 403 },
  UNAUTHENTICATED: { code: Code.Unauthenticated, status: 401 },
  RATE_LIMITED: { code: Code.ResourceExhausted, status: 429 },
};

/** The answer to a call of a method that is not served. */
export const unknownMethod: Refusal = {
  reason: "UNIMPLEMENTED",
  detail: "this server has no such method",
};

/** A refusal without the details that whoever knows the contract can add. */
export function bareRefusal({ reason, detail }: Refusal): ConnectError {
  return new ConnectError(`${reason}: ${detail}`, wordings[reason].code);
}

const errorKey = createContextKey<ConnectError>(bareRefusal(unknownMethod));

/**
 * Makes handlers that refuse: calls in the protocol of the caller, everything else with a line of text. Takes the shapes
 * of a unary and of a streaming answer from methods that are served.
 */
export function createRefuser(
  served: readonly UniversalHandler[],
  errorOf: (refusal: Refusal) => ConnectError,
): (refusal: Refusal) => UniversalHandlerFn {
  const router = createConnectRouter({
    requestGate: (context) => {
      throw context.values.get(errorKey);
    },
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
    contextValues.set(errorKey, errorOf(refusal));
    const answer = await handler({ ...request, contextValues });
    // Connect has a status for what is not there (404) beside the one of the code (501); the others say 200.
    return answer.status === 501 ? { ...answer, status: 404 } : answer;
  };
}

function plainRefusal({ reason, detail }: Refusal): UniversalServerResponse {
  const { status } = wordings[reason];
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
