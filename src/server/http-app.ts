import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { TlsOptions } from "node:tls";
import cors from "@fastify/cors";
import { Code, ConnectError, cors as connectCors } from "@connectrpc/connect";
import { fastify, type FastifyInstance } from "fastify";
import { DualServer } from "./dual-server.ts";
import {
  defaultMaxPayloadBytes,
  defaultTimeouts,
  http1Options,
  http2Options,
  maxConnections,
  type TransportTimeouts,
} from "./limits.ts";
import { type Readiness, registerPointer, registerProbes, text } from "./probes.ts";
import { registerRpcRoutes, type RpcRoutesOptions } from "./rpc-routes.ts";
import { registerSite } from "./site.ts";
import { cutStalled } from "./stalls.ts";

export interface HttpAppOptions extends Pick<
  RpcRoutesOptions,
  "routes" | "contextValues" | "logger"
> {
  readonly interceptors?: RpcRoutesOptions["interceptors"] | undefined;
  readonly unknownMethod?: RpcRoutesOptions["unknownMethod"] | undefined;
  /** Web origins, spelled exactly or as patterns, whose pages may call. By default those of this machine, on any port. */
  readonly allowedOrigins?: readonly (string | RegExp)[] | undefined;
  /** Largest payload of a message, in bytes; what a request or an answer may measure follows from it. */
  readonly maxPayloadBytes?: number | undefined;
  readonly timeouts?: Partial<TransportTimeouts> | undefined;
  /** Without it the port speaks cleartext. */
  readonly tls?: TlsOptions | undefined;
  /** Asked at each GET /readyz. */
  readonly readiness: () => Readiness;
  /** Files that are served at `/`. */
  readonly staticDirectory?: string | undefined;
}

export interface HttpApp extends AsyncDisposable {
  /** Port 0 takes a free one. Rejects with the system's error (EADDRINUSE, EACCES, …). Returns the actual address. */
  listen(address: {
    readonly host: string;
    readonly port: number;
  }): Promise<{ host: string; port: number }>;
  /**
   * Ends the server in order: not ready, streams are told, no further connections, calls in flight finish, and what is left
   * after the time for it is cut. Resolves when all connections are closed; may be called again.
   */
  drain(): Promise<void>;
}

/** Request headers that pages of other origins may send, beside those of the protocols. */
const requestHeaders = [
  "Authorization",
  "Idempotency-Key",
  "Prefer",
  "Last-Event-ID",
  "Keygen-Session-Id",
  "traceparent",
  "tracestate",
];

const localOrigin = /^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;

/** One port that serves the RPCs in gRPC, gRPC-Web, Connect and JSON, the probes, and the files of a web page. */
export function createHttpApp(options: HttpAppOptions): HttpApp {
  const timeouts = { ...defaultTimeouts, ...options.timeouts };
  const closing = new AbortController();
  const app = createFastify(options, timeouts);
  const server = new DualServer((request, response) => app.routing(request, response), {
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    http1: http1Options(timeouts),
    http2: http2Options(),
    maxConnections,
    firstBytesMs: timeouts.firstBytesMs,
    pingIntervalMs: timeouts.pingIntervalMs,
  });
  registerProbes(app, () =>
    closing.signal.aborted ? { ready: false, reason: "draining" } : options.readiness(),
  );
  registerRpcRoutes(app, {
    routes: options.routes,
    interceptors: options.interceptors ?? [],
    contextValues: options.contextValues,
    unknownMethod: options.unknownMethod ?? unknownMethod,
    maxPayloadBytes: options.maxPayloadBytes ?? defaultMaxPayloadBytes,
    logger: options.logger,
    server,
    closing: closing.signal,
  });

  const drain = async (): Promise<void> => {
    if (!closing.signal.aborted) {
      closing.abort();
      options.logger.info({}, "draining");
    }
    // Fastify holds no connection; closed, it asks HTTP/1.1 clients to close theirs.
    await Promise.all([server.drain(timeouts.drainMs), app.close()]);
  };
  return {
    async listen(address) {
      await app.ready();
      server.listen(address);
      await once(server, "listening");
      server.on("error", (error) => options.logger.error({ err: error }, "accepting failed"));
      const { address: host, port } = server.address() as AddressInfo;
      return { host, port };
    },
    drain,
    [Symbol.asyncDispose]: drain,
  };
}

function createFastify(options: HttpAppOptions, timeouts: TransportTimeouts): FastifyInstance {
  const app = fastify({
    logger: false,
    // While draining, calls on connections that are still open are served.
    return503OnClosing: false,
    frameworkErrors: (_error, _request, reply) => {
      text(reply, 400, "bad request");
    },
  });
  app.setErrorHandler((error, _request, reply) => {
    if (isClientError(error)) return text(reply, error.statusCode, "bad request");
    options.logger.error({ err: error }, "request failed");
    return text(reply, 500, "internal error");
  });
  // The protocols read the bodies themselves.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, _payload, done) => done(null));
  app.addHook("onRequest", (request, reply, done) => {
    cutStalled(request.raw, reply.raw, timeouts);
    if (hasUsableUrl(request.raw)) done();
    else text(reply, 400, "bad request");
  });
  void app.register(cors, {
    origin: options.allowedOrigins === undefined ? localOrigin : [...options.allowedOrigins],
    methods: [...connectCors.allowedMethods],
    allowedHeaders: [...connectCors.allowedHeaders, ...requestHeaders],
    exposedHeaders: [...connectCors.exposedHeaders],
    maxAge: 7_200,
  });
  if (options.staticDirectory === undefined) registerPointer(app);
  else registerSite(app, options.staticDirectory);
  return app;
}

/** Handlers are told the whole URL, host included, and cannot be where there is none. */
function hasUsableUrl(request: IncomingMessage): boolean {
  const authority = request.headers[":authority"] ?? request.headers.host;
  return typeof authority === "string" && URL.canParse(request.url ?? "", `http://${authority}`);
}

function isClientError(error: unknown): error is { readonly statusCode: number } {
  if (typeof error !== "object" || error === null || !("statusCode" in error)) return false;
  const { statusCode } = error;
  return typeof statusCode === "number" && statusCode >= 400 && statusCode < 500;
}

function unknownMethod(): ConnectError {
  return new ConnectError("UNIMPLEMENTED: this server has no such method", Code.Unimplemented);
}
