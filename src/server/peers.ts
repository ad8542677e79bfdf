import type * as http from "node:http";
import * as http2 from "node:http2";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { type Rate, TokenBucket } from "../limits/token-bucket.ts";
import { type CertificateFinding, inspectCertificate } from "./client-certificate.ts";

/** Whoever is at the other end of a connection, as far as the connection tells. */
export interface Peer {
  readonly certificate: CertificateFinding;
  /** What is left of the calls that this connection may make. */
  readonly calls: TokenBucket;
}

/** The HTTP/2 stream of an answer, which has the type of HTTP/1.1 whatever it goes over; nothing over HTTP/1.1. */
export function http2StreamOf(response: http.ServerResponse): http2.ServerHttp2Stream | undefined {
  return response instanceof http2.Http2ServerResponse ? response.stream : undefined;
}

/** The peers of the open connections. */
export class Peers {
  readonly #callRate: Rate;
  readonly #peers = new WeakMap<Duplex | http2.Http2Session, Peer>();

  constructor(callRate: Rate) {
    this.#callRate = callRate;
  }

  /** Looks at the connection once, when it is handed to HTTP. */
  add(key: Duplex | http2.Http2Session, socket: Duplex): void {
    this.#peers.set(key, {
      certificate: socket instanceof TLSSocket ? inspectCertificate(socket) : undefined,
      calls: new TokenBucket(this.#callRate),
    });
  }

  /** `undefined` once the connection is gone. */
  of(request: http.IncomingMessage, response: http.ServerResponse): Peer | undefined {
    const stream = http2StreamOf(response);
    const key = stream === undefined ? request.socket : stream.session;
    return key === undefined ? undefined : this.#peers.get(key);
  }
}
