import type * as http from "node:http";
import type * as http2 from "node:http2";
import type { Rate } from "../limits/token-bucket.ts";

/** Times after which the server stops waiting for a client, all in milliseconds. */
export interface TransportTimeouts {
  /** For the first bytes of a connection, and for a TLS handshake. */
  readonly firstBytesMs: number;
  /** For the complete headers of an HTTP/1.1 request. */
  readonly headersMs: number;
  /** For a complete HTTP/1.1 request; over HTTP/2, for the next bytes of an incomplete one. */
  readonly requestMs: number;
  /** For the next request on an HTTP/1.1 connection; longer than the 60 s of common load balancers. */
  readonly keepAliveMs: number;
  /** Between two PINGs of an HTTP/2 connection; one that gives no sign of life in between is closed. */
  readonly pingIntervalMs: number;
  /** For an HTTP/1.1 client that has stopped reading its answer. */
  readonly blockedWriteMs: number;
  /** For calls in flight when the server drains; then they are cut. */
  readonly drainMs: number;
}

export const defaultTimeouts: TransportTimeouts = {
  firstBytesMs: 10_000,
  headersMs: 10_000,
  // 11 MiB of JSON, the largest request, over 1 Mbit/s.
  requestMs: 100_000,
  keepAliveMs: 65_000,
  pingIntervalMs: 20_000,
  blockedWriteMs: 30_000,
  drainMs: 5_000,
};

/** For a client to end its part of a call or connection after the server has ended its own, in milliseconds. */
export const lingerMs = 500;

const KIB = 1_024;
const MIB = 1_024 * KIB;

/** For the largest message payload, in bytes, that a request has to carry. */
export const defaultMaxPayloadBytes: number = MIB;

/** More sockets than this are refused; a connection costs about 50 KiB. */
export const maxConnections = 20_000;

/** The longest deadline of a call: delays of Node's timers are 32-bit milliseconds, longer ones end at once. */
export const maxDeadlineMs: number = 2 ** 31 - 1;

/** Streams that one HTTP/2 connection may have open: a gateway may hold the subscriptions of many parties. */
const maxStreamsPerConnection = 10_000;

/** More than one core serves, so that by default it stops floods only; and all streams of a connection at once. */
export const defaultCallRate: Rate = { perSecond: 10_000, burst: maxStreamsPerConnection };

/** Largest request in bytes, decompressed: JSON carries the payload in base64, and the other fields need room. */
export function maxRequestBytes(maxPayloadBytes: number): number {
  return Math.ceil(maxPayloadBytes / 3) * 4 + 64 * KIB;
}

/** Largest answer message in bytes: one message of the largest payload, or a page of a mailbox (4 MB, more in JSON). */
export function maxResponseBytes(maxPayloadBytes: number): number {
  return Math.max(maxRequestBytes(maxPayloadBytes), 8 * MIB);
}

export function http1Options(timeouts: TransportTimeouts): http.ServerOptions {
  return {
    headersTimeout: timeouts.headersMs,
    requestTimeout: timeouts.requestMs,
    keepAliveTimeout: timeouts.keepAliveMs,
    connectionsCheckingInterval: Math.min(5_000, Math.ceil(timeouts.headersMs / 4)),
    maxHeaderSize: 16 * KIB,
  };
}

export function http2Options(): http2.ServerOptions {
  return {
    settings: {
      maxConcurrentStreams: maxStreamsPerConnection,
      initialWindowSize: 256 * KIB,
      maxHeaderListSize: 16 * KIB,
      enablePush: false,
    },
    maxHeaderListPairs: 128,
    // In MB, for one connection: what its streams have queued counts, and 10,000 streams alone take some.
    maxSessionMemory: 128,
    // A client that leaves cancels all its streams at once. Node's defaults close the connection at 1,000 and 33 a second.
    streamResetBurst: 2 * maxStreamsPerConnection,
    streamResetRate: 2_000,
  };
}

/** Flow-control window of a connection in bytes, so that one upload that nobody reads yet does not block the others. */
export const connectionWindowBytes: number = 4 * MIB;
