import { type ConnectError, type ConnectRouter, createConnectRouter } from "@connectrpc/connect";
import {
  uResponseNotFound,
  type UniversalHandler,
  type UniversalHandlerFn,
} from "@connectrpc/connect/protocol";

/**
 * Answers calls of methods that are not served as each protocol wants it, and everything else with 404. Takes the shapes
 * of a unary and of a streaming answer from methods that are served.
 */
export function createUnknownMethodHandler(
  served: readonly UniversalHandler[],
  refusal: () => ConnectError,
): UniversalHandlerFn {
  const router = createConnectRouter({
    requestGate: () => {
      throw refusal();
    },
  });
  registerLike(router, served, "unary");
  registerLike(router, served, "server_streaming");
  return async (request) => {
    const contentType = request.header.get("content-type");
    const handler = router.handlers.find((candidate) =>
      candidate.supportedContentType(contentType),
    );
    if (request.method !== "POST" || handler === undefined) return uResponseNotFound;
    const answer = await handler(request);
    // Connect has a status for what is not there (404) beside the one of the code (501); the others say 200.
    return answer.status === 501 ? { ...answer, status: 404 } : answer;
  };
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
