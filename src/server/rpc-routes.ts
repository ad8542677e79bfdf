import {
  type ConnectError,
  type ConnectRouter,
  type ContextValues,
  createConnectRouter,
  type Interceptor,
} from "@connectrpc/connect";
import { compressionGzip, universalRequestFromNodeRequest } from "@connectrpc/connect-node";
import type { UniversalHandlerFn, UniversalServerResponse } from "@connectrpc/connect/protocol";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "../telemetry/logger.ts";
import { writeAnswer } from "./answer.ts";
import { joinAuthorizations } from "./authorizations.ts";
import { type Connection, connectionOf, type ConnectionSource } from "./connection.ts";
import { dropDistantDeadline } from "./deadlines.ts";
import { maxDeadlineMs, maxRequestBytes, maxResponseBytes } from "./limits.ts";
import type { Peer } from "./peers.ts";
import { createRefuser, type Refusal, textAnswer, unknownMethod } from "./refusals.ts";

export interface RpcRoutesOptions extends ConnectionSource {
  /** Registers the services. */
  readonly routes: (router: ConnectRouter) => void;
  readonly interceptors: readonly Interceptor[];
  /** Made for each call, so that its handler finds the connection. */
  readonly contextValues: (connection: Connection) => ContextValues;
  /** How callers are told what is refused before any handler sees it. */
  readonly refusal: (refusal: Refusal) => ConnectError;
  /** What is refused whoever calls, be it a call or not; asked of each request. */
  readonly check: (request: FastifyRequest) => Refusal | undefined;
  readonly maxPayloadBytes: number;
  readonly logger: Logger;
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
  const refuse = createRefuser(router.handlers, options.refusal);
  app.addHook("onRequest", (request, reply, done) => {
    const refusal = options.check(request);
    if (refusal === undefined) done();
    else void respond(refuse(refusal), { request, reply, options });
  });
  const served =
    (handler: UniversalHandlerFn) => (request: FastifyRequest, reply: FastifyReply) => {
      const refusal = refusalOfPeer(options.server.peerOf(request.raw, reply.raw));
      const answering = refusal === undefined ? handler : refuse(refusal);
      return respond(answering, { request, reply, options });
    };
  for (const handler of router.handlers) app.all(handler.requestPath, served(handler));
  app.setNotFoundHandler(served(refuse(unknownMethod)));
}

/** Calls are counted against what their connection may make; one with a bad certificate may make none. */
function refusalOfPeer(peer: Peer | undefined): Refusal | undefined {
  if (peer === undefined) return undefined;
  if (peer.certificate !== undefined && "rejected" in peer.certificate) {
    const detail = `the client certificate is not accepted (${peer.certificate.rejected})`;
    return { reason: "UNAUTHENTICATED", detail };
  }
  const retryAfterMs = peer.calls.take(performance.now());
  if (retryAfterMs === 0) return undefined;
  return { reason: "RATE_LIMITED", detail: "too many calls on this connection", retryAfterMs };
}

interface Exchange {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly options: RpcRoutesOptions;
}

async function respond(
  handler: UniversalHandlerFn,
  { request, reply, options }: Exchange,
): Promise<void> {
  reply.hijack();
  try {
    const universalRequest = {
      ...universalRequestFromNodeRequest(
        request.raw,
        reply.raw,
        undefined,
        options.contextValues(connectionOf(request, reply, options)),
      ),
      // Who stops reading must not destroy the request, and with it the connection that the refusal goes over.
      body: request.raw.iterator({ destroyOnReturn: false }),
    };
    dropDistantDeadline(universalRequest.header);
    joinAuthorizations(universalRequest.header, request.raw);
    await writeAnswer(withBody(await handler(universalRequest)), request, reply);
  } catch (error) {
    options.logger.error({ err: error, path: request.routeOptions.url }, "call not answered");
    reply.raw.destroy();
  }
}

/** What to tell people whose request is no call; the framework answers those with a bare status. */
const explanations = new Map([
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
  const explained = textAnswer(answer.status, explanation);
  if (answer.status === 405) explained.header.set("allow", "POST");
  return explained;
}
