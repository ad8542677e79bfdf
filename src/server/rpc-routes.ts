import {
  type ConnectError,
  type ConnectRouter,
  type ContextValues,
  createConnectRouter,
  type Interceptor,
} from "@connectrpc/connect";
import { compressionGzip, universalRequestFromNodeRequest } from "@connectrpc/connect-node";
import {
  createAsyncIterable,
  type UniversalHandlerFn,
  type UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "../telemetry/logger.ts";
import { writeAnswer } from "./answer.ts";
import { type Connection, connectionOf } from "./connection.ts";
import type { DualServer } from "./dual-server.ts";
import { dropDistantDeadline } from "./deadlines.ts";
import { maxDeadlineMs, maxRequestBytes, maxResponseBytes } from "./limits.ts";
import { createUnknownMethodHandler } from "./unknown-methods.ts";

export interface RpcRoutesOptions {
  /** Registers the services. */
  readonly routes: (router: ConnectRouter) => void;
  readonly interceptors: readonly Interceptor[];
  /** Made for each call, so that its handler finds the connection. */
  readonly contextValues: (connection: Connection) => ContextValues;
  /** What a call of a method that is not served is answered with. */
  readonly unknownMethod: () => ConnectError;
  readonly maxPayloadBytes: number;
  readonly logger: Logger;
  readonly server: DualServer;
  /** Aborts when the server drains. */
  readonly closing: AbortSignal;
}

/**
 * Serves the RPCs on a Fastify instance. This is what connect-fastify does, but headers can go out before the first
 * message, failures come to the logger and end the call, and unknown methods are answered in the caller's protocol.
 */
export function registerRpcRoutes(app: FastifyInstance, options: RpcRoutesOptions): void {
  const router = createConnectRouter({
    // Of an unknown size when decompressed; the limit holds for what comes out, and nothing beyond it is kept.
    acceptCompression: [compressionGzip],
    // Answers are mostly ciphertext, which does not compress.
    compressMinBytes: Number.MAX_SAFE_INTEGER,
    readMaxBytes: maxRequestBytes(options.maxPayloadBytes),
    writeMaxBytes: maxResponseBytes(options.maxPayloadBytes),
    maxTimeoutMs: maxDeadlineMs,
    // So that users of curl see zeros and false.
    jsonOptions: { alwaysEmitImplicit: true },
    interceptors: [...options.interceptors],
  });
  options.routes(router);
  for (const handler of router.handlers) {
    const answer = createFastifyHandler(handler, options);
    app.all(handler.requestPath, answer);
  }
  const unknown = createUnknownMethodHandler(router.handlers, options.unknownMethod);
  app.setNotFoundHandler(createFastifyHandler(unknown, options));
}

function createFastifyHandler(
  handler: UniversalHandlerFn,
  options: RpcRoutesOptions,
): (request: FastifyRequest, reply: FastifyReply) => Promise<void> {
  return async (request, reply) => {
    reply.hijack();
    try {
      const connection = connectionOf(reply, options.server, options.closing);
      const universalRequest = {
        ...universalRequestFromNodeRequest(
          request.raw,
          reply.raw,
          undefined,
          options.contextValues(connection),
        ),
        // Who stops reading must not destroy the request, and with it the connection that the refusal goes over.
        body: request.raw.iterator({ destroyOnReturn: false }),
      };
      dropDistantDeadline(universalRequest.header);
      await writeAnswer(withBody(await handler(universalRequest)), request, reply);
    } catch (error) {
      options.logger.error({ err: error, path: request.routeOptions.url }, "call not answered");
      reply.raw.destroy();
    }
  };
}

/** What to tell people whose request is no call; the framework answers those with a bare status. */
const explanations = new Map([
  [404, "not found"],
  [405, "RPCs are called by POST"],
  [
    415,
    "RPCs take content-type application/json or application/proto, streams application/connect+json or application/connect+proto, both those of gRPC and gRPC-Web",
  ],
  [505, "this RPC needs HTTP/2"],
]);

function withBody(answer: UniversalServerResponse): UniversalServerResponse {
  const explanation = answer.body === undefined ? explanations.get(answer.status) : undefined;
  if (explanation === undefined) return answer;
  const header = new Headers(answer.header);
  header.set("content-type", "text/plain; charset=utf-8");
  if (answer.status === 405) header.set("allow", "POST");
  return { ...answer, header, body: createAsyncIterable([Buffer.from(`${explanation}\n`)]) };
}
