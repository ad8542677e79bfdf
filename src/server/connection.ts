import type { OutgoingHttpHeaders } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { ClientCertificate } from "./client-certificate.ts";
import type { DualServer } from "./dual-server.ts";
import { http2StreamOf } from "./peers.ts";
import type { StreamEnds } from "./stream-ends.ts";

/** What a call may know of, and do with, the connection it came over; rpc/ has the same shape for its handlers. */
export interface Connection {
  /** Sends the headers of a streamed answer at once, instead of together with its first message. */
  sendHeaders(responseHeader: Headers): void;
  /** Calls the listener whenever the HTTP/2 connection answers a PING. Returns the way to stop. */
  onAlive(listener: () => void): () => void;
  /** Aborts when the server begins to drain. */
  readonly draining: AbortSignal;
  /** Aborts when the stream of this call is to end, since the server drains. */
  readonly closing: AbortSignal;
  /** Of the client's end of this connection, if it has one that is verified; nothing that a header says. */
  readonly certificate: ClientCertificate | undefined;
}

/** Headers of the answer together with those that hooks (CORS) have put on the reply. */
export function answerHeaders(
  reply: FastifyReply,
  responseHeader: Headers | undefined,
): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (value !== undefined) headers[name] = value;
  }
  responseHeader?.forEach((value, name) => (headers[name] = value));
  return headers;
}

export interface ConnectionSource {
  readonly server: DualServer;
  /** Aborts when the server begins to drain. */
  readonly draining: AbortSignal;
  readonly streamEnds: StreamEnds;
}

export function connectionOf(
  request: FastifyRequest,
  reply: FastifyReply,
  { server, draining, streamEnds }: ConnectionSource,
): Connection {
  const response = reply.raw;
  let closing: AbortSignal | undefined;
  const found = server.peerOf(request.raw, response)?.certificate;
  return {
    draining,
    // Most calls are none that could go on for long, and have no use for it.
    get closing() {
      return (closing ??= streamEnds.signalFor(response));
    },
    certificate: found !== undefined && "rejected" in found ? undefined : found,
    sendHeaders(responseHeader) {
      if (response.headersSent || response.writableEnded) return;
      response.writeHead(200, answerHeaders(reply, responseHeader));
      // HTTP/1.1 keeps them back for the first bytes of the body.
      response.flushHeaders();
    },
    onAlive(listener) {
      const session = http2StreamOf(response)?.session;
      return session === undefined ? () => undefined : server.onAlive(session, listener);
    },
  };
}
