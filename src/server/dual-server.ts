import * as http from "node:http";
import * as http2 from "node:http2";
import * as net from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { Rate } from "../limits/token-bucket.ts";
import { FairStarts } from "./fair-starts.ts";
import { Http2Sessions } from "./http2-sessions.ts";
import { connectionWindowBytes, lingerMs } from "./limits.ts";
import { type Peer, Peers } from "./peers.ts";
import { detectProtocol, type Protocol } from "./preface.ts";
import { createTlsPort, refuseCleartext, type TlsMaterial, type TlsPort } from "./tls-port.ts";

export interface DualServerOptions {
  /** With it the port speaks TLS only, and ALPN decides; without it cleartext, and the first bytes decide. */
  readonly tls?: TlsMaterial;
  readonly http1: http.ServerOptions;
  readonly http2: http2.ServerOptions;
  readonly maxConnections: number;
  /** Of the calls of one connection. */
  readonly callRate: Rate;
  /** Time for the first bytes of a connection, in milliseconds. */
  readonly firstBytesMs: number;
  /** Time between two PINGs on an HTTP/2 connection, in milliseconds. */
  readonly pingIntervalMs: number;
}

/**
 * How often a draining server ends connections without a call, in milliseconds. It also lets that time go by at first:
 * a call that has come may be neither accepted nor read yet, and would be cut.
 */
const idleSweepMs = 50;

/** One TCP port for HTTP/1.1 and HTTP/2: hands each connection to an inner server that does not listen itself. */
export class DualServer extends net.Server {
  readonly #options: DualServerOptions;
  readonly #http1: http.Server;
  readonly #http2: http2.Http2Server;
  readonly #tls: TlsPort | undefined;
  readonly #sessions = new Http2Sessions();
  readonly #starts = new FairStarts();
  readonly #peers: Peers;
  readonly #sockets = new Set<net.Socket>();
  /** Connections that have not said yet what they speak. */
  readonly #undecided = new Set<net.Socket>();
  #drained: Promise<void> | undefined;

  constructor(
    handler: (request: http.IncomingMessage, response: http.ServerResponse) => void,
    options: DualServerOptions,
  ) {
    // Half-open is what an inner http server expects of its sockets.
    super({ allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 });
    this.#options = options;
    this.maxConnections = options.maxConnections;
    this.#peers = new Peers(options.callRate);
    this.#http1 = http.createServer(options.http1, handler);
    // What Node's compatible classes lack of the HTTP/1.1 ones, nothing here and in Fastify uses.
    this.#http2 = http2.createServer(options.http2, (request, response) =>
      this.#starts.add(response.stream, () =>
        handler(
          request as unknown as http.IncomingMessage,
          response as unknown as http.ServerResponse,
        ),
      ),
    );
    this.#http2.on("session", (session) => this.#admit(session));
    this.#tls = this.#createTlsPort();
    this.on("connection", (socket) => this.#accept(socket));
    this.once("listening", () => this.#start());
  }

  /** Calls the listener whenever the HTTP/2 connection answers a PING. Returns the way to stop. */
  onAlive(session: http2.Http2Session, listener: () => void): () => void {
    return this.#sessions.onAlive(session, listener);
  }

  /** Who sent the request; `undefined` once the connection is gone. */
  peerOf(request: http.IncomingMessage, response: http.ServerResponse): Peer | undefined {
    return this.#peers.of(request, response);
  }

  /** For the handshakes to come; on a port of TLS only. */
  replaceTls(material: TlsMaterial): void {
    this.#tls?.replace(material);
  }

  /**
   * Takes no further connections, tells the clients so, and resolves when all have ended: those without a call soon, the
   * others with their last call, all of them after `graceMs`. Later calls share the first one's promise.
   */
  drain(graceMs: number): Promise<void> {
    this.#drained ??= this.#drain(graceMs);
    return this.#drained;
  }

  async #drain(graceMs: number): Promise<void> {
    const cut = setTimeout(() => this.#destroyAll(), graceMs);
    await pause(idleSweepMs);
    // An error says that the server was not listening, and then there is nothing to wait for.
    const closed = new Promise<void>((resolve) => this.close(() => resolve()));
    this.#endIdle();
    const sweep = setInterval(() => this.#endIdle(), idleSweepMs);
    await closed;
    clearInterval(sweep);
    clearTimeout(cut);
    // Never listening, it answers with an error that nobody needs; what it does is to stop its timer.
    this.#http1.close(() => undefined);
  }

  #start(): void {
    // Only a listening http server watches its connections, which is what its time-outs rest on.
    this.#http1.emit("listening");
    // Judged only after what has come in meanwhile is read: the process itself may have been held up.
    const ping = (): void => void setImmediate(() => this.#sessions.pingAll());
    const pings = setInterval(ping, this.#options.pingIntervalMs);
    this.once("close", () => clearInterval(pings));
  }

  #accept(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    // A reset may come while no inner server listens yet or any more; "close" follows and says all.
    socket.on("error", () => undefined);
    this.#detect(socket, (protocol) => {
      // Cleartext on a TLS port, and the other way round, comes from a client that was set up wrongly: it is told so.
      const spoken = protocol === "tls" ? "http1" : protocol;
      if (this.#tls === undefined) this.#serve(socket, spoken);
      else if (protocol === "tls") this.#tls.accept(socket);
      else refuseCleartext(socket, spoken);
    });
  }

  #detect(socket: net.Socket, decided: (protocol: Protocol) => void): void {
    this.#undecided.add(socket);
    socket.once("close", () => this.#undecided.delete(socket));
    detectProtocol(socket, this.#options.firstBytesMs, (protocol) => {
      this.#undecided.delete(socket);
      decided(protocol);
    });
  }

  #serve(socket: net.Socket, protocol: "http1" | "http2"): void {
    if (protocol === "http1") {
      this.#peers.add(socket, socket);
      this.#http1.emit("connection", socket);
    } else {
      socket.allowHalfOpen = false;
      // A client may leave a finished connection open, and Node would wait for it for ever.
      socket.once("finish", () => setTimeout(() => socket.destroy(), lingerMs).unref());
      this.#http2.emit("connection", socket);
    }
  }

  /**
   * Left to itself, Node's parser takes decrypted bytes past the socket, and goes on taking them once it has paused the
   * socket: a request in two records behind a large answer that is still being written ended the connection ("Parse Error:
   * Paused", Node 24.21). Where somebody listens for data the parser does the same, and a paused socket gives none.
   */
  #serveSecureHttp1(socket: net.Socket): void {
    this.#serve(socket, "http1");
    socket.on("data", () => undefined);
  }

  #createTlsPort(): TlsPort | undefined {
    const { tls: material, firstBytesMs } = this.#options;
    if (material === undefined) return undefined;
    return createTlsPort({
      material,
      handshakeMs: firstBytesMs,
      onSecure: (socket) => {
        if (socket.alpnProtocol === "h2") this.#serve(socket, "http2");
        else this.#detect(socket, () => this.#serveSecureHttp1(socket));
      },
    });
  }

  #admit(session: http2.ServerHttp2Session): void {
    this.#sessions.add(session);
    this.#peers.add(session, session.socket);
    session.setLocalWindowSize(connectionWindowBytes);
  }

  #endIdle(): void {
    this.#http1.closeIdleConnections();
    this.#sessions.closeAll();
    for (const socket of this.#undecided) socket.destroy();
  }

  #destroyAll(): void {
    this.#sessions.destroyAll();
    for (const socket of this.#sockets) socket.destroy();
  }
}
