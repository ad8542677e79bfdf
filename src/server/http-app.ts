import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import cors from "@fastify/cors";
import { cors as connectCors } from "@connectrpc/connect";
import { fastify, type FastifyInstance, type FastifyRequest } from "fastify";
import type { Rate } from "../limits/token-bucket.ts";
import { DualServer } from "./dual-server.ts";
import { createForeignCheck } from "./foreign-requests.ts";
import {
  defaultCallRate,
  defaultMaxPayloadBytes,
  defaultTimeouts,
  http1Options,
  http2Options,
  maxConnections,
  type TransportTimeouts,
} from "./limits.ts";
import { isProbe, type Readiness, registerPointer, registerProbes, text } from "./probes.ts";
import type { Refusal } from "./refusals.ts";
import { registerRpcRoutes, type RpcRoutesOptions } from "./rpc-routes.ts";
import { registerSite } from "./site.ts";
import { cutStalled } from "./stalls.ts";
import { StreamEnds } from "./stream-ends.ts";
import type { TlsMaterial } from "./tls-port.ts";

export interface HttpAppOptions extends Pick<
  RpcRoutesOptions,
  "routes" | "contextValues" | "refusal" | "logger"
> {
  readonly interceptors?: RpcRoutesOptions["interceptors"] | undefined;
  /** Web origins, spelled exactly or as patterns, whose pages may call. By default those of this machine, on any port. */
  readonly allowedOrigins?: readonly (string | RegExp)[] | undefined;
  /**
   * With it, as a server without authentication needs, requests for other hosts than this machine's loopback and those
   * listed, and those of pages from other origins than the allowed ones, are refused; probes are not.
   */
  readonly homeHosts?: readonly string[] | undefined;
  /** Of the calls of one connection, which may be a gateway's for many parties. */
  readonly callRate?: Rate | undefined;
  /** Largest payload of a message, in bytes; what a request or an answer may measure follows from it. */
  readonly maxPayloadBytes?: number | undefined;
  readonly timeouts?: Partial<TransportTimeouts> | undefined;
  /** Without it the port speaks cleartext. */
  readonly tls?: TlsMaterial | undefined;
  /**
   * Asked when it drains: whether clients find another server at once, which then takes the streams over a few at a time.
   * Default: they do not, and all streams end together.
   */
  readonly hasSuccessor?: (() => Promise<boolean>) | undefined;
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
  /** Takes effect at the next handshake; connections that are open stay. */
  replaceTls(material: TlsMaterial): void;
  /**
   * Ends the server in order: not ready, no further connections, streams are told, calls in flight finish, and what is left
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
  const draining = new AbortController();
  const streamEnds = new StreamEnds();
  const app = createFastify(options, timeouts);
  const server = new DualServer((request, response) => app.routing(request, response), {
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    http1: http1Options(timeouts),
    http2: http2Options(),
    maxConnections,
    callRate: options.callRate ?? defaultCallRate,
    firstBytesMs: timeouts.firstBytesMs,
    pingIntervalMs: timeouts.pingIntervalMs,
  });
  registerProbes(app, () =>
    draining.signal.aborted ? { ready: false, reason: "draining" } : options.readiness(),
  );
  registerRpcRoutes(app, {
    routes: options.routes,
    interceptors: options.interceptors ?? [],
    contextValues: options.contextValues,
    refusal: options.refusal,
    check: createCheck(options),
    maxPayloadBytes: options.maxPayloadBytes ?? defaultMaxPayloadBytes,
    logger: options.logger,
    server,
    draining: draining.signal,
    streamEnds,
  });

  registerPages(app, options);

  const drain = async (): Promise<void> => {
    if (!draining.signal.aborted) {
      draining.abort();
      options.logger.info({}, "draining");
      void streamEnds.endAll(options.hasSuccessor ?? (async () => false));
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
    replaceTls: (material) => server.replaceTls(material),
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
  return app;
}

/** After the calls, whose check of all requests is to come before CORS answers. */
function registerPages(app: FastifyInstance, options: HttpAppOptions): void {
  void app.register(cors, {
    origin: [...allowedOriginsOf(options)],
    methods: [...connectCors.allowedMethods],
    allowedHeaders: [...connectCors.allowedHeaders, ...requestHeaders],
    exposedHeaders: [...connectCors.exposedHeaders],
    maxAge: 7_200,
  });
  if (options.staticDirectory === undefined) registerPointer(app);
  else registerSite(app, options.staticDirectory);
}

function allowedOriginsOf({ allowedOrigins }: HttpAppOptions): readonly (string | RegExp)[] {
  return allowedOrigins ?? [localOrigin];
}

function createCheck(options: HttpAppOptions): (request: FastifyRequest) => Refusal | undefined {
  const { homeHosts: hosts } = options;
  if (hosts === undefined) return () => undefined;
  const check = createForeignCheck({ hosts, allowedOrigins: allowedOriginsOf(options) });
  return (request) => (isProbe(request) ? undefined : check(request.raw));
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
