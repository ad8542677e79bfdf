import { once } from "node:events";
import * as http2 from "node:http2";
import { createContextValues, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { MessageRouter } from "../../../gen/mpc/router/v1/message_router_pb.js";
import { RouterError } from "../../../src/domain/errors.ts";
import { type Connection, connectionKey } from "../../../src/rpc/connection.ts";
import { wireError } from "../../../src/rpc/errors.ts";
import { healthRoutes, type ReadinessSource } from "../../../src/rpc/health.ts";
import { createErrorInterceptor } from "../../../src/rpc/interceptors.ts";
import { withFixedParseErrors } from "../../../src/rpc/parse-errors.ts";
import { portRefusal } from "../../../src/rpc/port-refusals.ts";
import { reflectionRoutes } from "../../../src/rpc/reflection.ts";
import { openStream, relay } from "../../../src/rpc/streaming.ts";
import { createHttpApp, type HttpAppOptions } from "../../../src/server/http-app.ts";
import type { TlsMaterial } from "../../../src/server/tls-port.ts";
import { silentLogger } from "../../../src/telemetry/logger.ts";

/** The router with its real transport; behind it stands a stub in place of the domain. */
export interface TestApp extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  readonly readiness: TestReadiness;
  /** How often a stream's client has proved to be alive, how many streams are open, how many slow calls came. */
  readonly seen: Seen;
  /** Resolve it to let the calls of the party "slow" go on. */
  readonly release: PromiseWithResolvers<void>;
  /** The messages a subscriber is given; by default none, and the stream stays open. */
  readonly mailbox: { messages: { payload: Uint8Array }[] };
  replaceTls(material: TlsMaterial): void;
  drain(): Promise<void>;
}

interface Seen {
  alive: number;
  streams: number;
  slowCalls: number;
  /** Of all of Heartbeat. */
  calls: number;
  /** Of the last of them. */
  certificate: Connection["certificate"];
}

/** A readiness that a test turns. */
export class TestReadiness implements ReadinessSource {
  #ready = true;
  readonly #listeners = new Set<() => void>();

  isReady(): boolean {
    return this.#ready;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }

  set(ready: boolean): void {
    this.#ready = ready;
    for (const listener of this.#listeners) listener();
  }
}

/** `admit` lets calls in, or throws. */
export async function startApp(
  options: Partial<HttpAppOptions> = {},
  admit?: (context: HandlerContext) => void,
): Promise<TestApp> {
  const readiness = new TestReadiness();
  const seen: Seen = { alive: 0, streams: 0, slowCalls: 0, calls: 0, certificate: undefined };
  const release = Promise.withResolvers<void>();
  const mailbox: TestApp["mailbox"] = { messages: [] };
  const services = (router: ConnectRouter): void => {
    router.service(MessageRouter, {
      async heartbeat(request, context) {
        seen.calls += 1;
        seen.certificate = context.values.get(connectionKey).certificate;
        if (request.partyId === "refused") throw new RouterError("INVALID_ID", "no such id");
        if (request.partyId === "slow") {
          seen.slowCalls += 1;
          await release.promise;
        }
        return { success: true, pendingMessages: 0 };
      },
      routeMessage: (request) => ({ success: true, messageId: String(request.payload.length) }),
      async *subscribeMessages(request, context) {
        if (request.partyId === "") throw new RouterError("INVALID_ID", "party_id is missing");
        const stream = openStream(context);
        stream.onAlive(() => (seen.alive += 1));
        seen.streams += 1;
        try {
          // The party "deaf" does not hear that the server drains, only that the connection is gone.
          const signal = request.partyId === "deaf" ? context.signal : stream.signal;
          yield* relay(context, untilAborted(mailbox.messages, signal), (message) => message);
        } finally {
          seen.streams -= 1;
        }
      },
    });
    healthRoutes(readiness, [MessageRouter.typeName])(router);
    reflectionRoutes([MessageRouter])(router);
  };
  const app = createHttpApp({
    routes: withFixedParseErrors(
      services,
      [createErrorInterceptor(silentLogger)],
      admit === undefined ? undefined : refusing(admit),
    ),
    contextValues: (connection) => createContextValues().set(connectionKey, connection),
    refusal: portRefusal,
    logger: silentLogger,
    readiness: () =>
      readiness.isReady() ? { ready: true } : { ready: false, reason: "the broker is away" },
    ...options,
  });
  const { port } = await app.listen({ host: "127.0.0.1", port: 0 });
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    readiness,
    seen,
    release,
    mailbox,
    replaceTls: (material) => app.replaceTls(material),
    drain: () => app.drain(),
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  };
}

/** What is thrown goes over the wire as the refusals of handlers do. */
function refusing(admit: (context: HandlerContext) => void): (context: HandlerContext) => void {
  return (context) => {
    try {
      admit(context);
    } catch (error) {
      throw wireError(error);
    }
  };
}

/** The items, and then nothing until the signal aborts. */
async function* untilAborted<T>(items: readonly T[], signal: AbortSignal): AsyncIterable<T> {
  yield* items;
  if (!signal.aborted) await once(signal, "abort");
}

/** An answer as it is on the wire. */
export interface RawAnswer {
  readonly status: number;
  /** Headers, then trailers: lower case. */
  readonly headers: Record<string, string>;
  readonly body: Buffer;
}

export interface RawRequest {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: Uint8Array | string;
}

/** One call over an HTTP/2 connection of its own, read to its end. */
export async function callHttp2(app: TestApp, request: RawRequest): Promise<RawAnswer> {
  const session = http2.connect(app.url);
  try {
    return await callOn(session, request);
  } finally {
    session.close();
  }
}

export async function callOn(
  session: http2.ClientHttp2Session,
  request: RawRequest,
): Promise<RawAnswer> {
  const stream = session.request({
    ":method": request.method ?? "POST",
    ":path": request.path,
    ...request.headers,
  });
  stream.end(request.body);
  const headers: Record<string, string> = {};
  const collect = (block: http2.IncomingHttpHeaders): void => {
    for (const [name, value] of Object.entries(block)) headers[name] = String(value);
  };
  stream.on("response", collect);
  stream.on("trailers", collect);
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(stream, "close");
  return { status: Number(headers[":status"]), headers, body: Buffer.concat(chunks) };
}

/** One call over HTTP/1.1. */
export async function callHttp1(app: TestApp, request: RawRequest): Promise<RawAnswer> {
  const response = await fetch(app.url + request.path, {
    method: request.method ?? "POST",
    ...(request.headers === undefined ? {} : { headers: request.headers }),
    ...(request.body === undefined ? {} : { body: request.body }),
  });
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    body: Buffer.from(await response.arrayBuffer()),
  };
}

/** A message in the envelope of gRPC, gRPC-Web and streaming Connect. */
export function envelope(message: Uint8Array | string, flags = 0): Buffer {
  const data = Buffer.from(message);
  const head = Buffer.alloc(5);
  head.writeUInt8(flags, 0);
  head.writeUInt32BE(data.length, 1);
  return Buffer.concat([head, data]);
}
