import { createContextKey, type ContextKey } from "@connectrpc/connect";

/** What a handler may know of, and do with, the connection that its call came over. */
export interface Connection {
  /**
   * Sends the headers of a streamed answer at once instead of together with its first message, which may be hours away.
   * To be called at most once, after every check that may refuse; later changes of the headers are lost.
   */
  sendHeaders(responseHeader: Headers): void;
  /**
   * Calls the listener whenever the client's HTTP/2 connection answers a PING; never over HTTP/1.1. Returns the way to
   * stop. All streams of a connection hear of the same PING.
   */
  onAlive(listener: () => void): () => void;
  /** Aborts when the server begins to drain. */
  readonly draining: AbortSignal;
  /** Aborts when the stream of this call is to end with SHUTTING_DOWN: when the server drains, or a little later. */
  readonly closing: AbortSignal;
  /** The client's certificate, where it showed one and the TLS layer found it good. */
  readonly certificate?: ClientCertificate | undefined;
}

/** What identifies the holder of a certificate. */
interface ClientCertificate {
  /** Its subject alternative names, as Node's `X509Certificate.subjectAltName` writes them. */
  readonly subjectAltName: string | undefined;
  /** Unix milliseconds of the end of its validity. */
  readonly validToMs: number;
}

/** For calls that came over no connection, as in tests with an in-memory transport. */
const none: Connection = {
  sendHeaders: () => undefined,
  onAlive: () => () => undefined,
  draining: new AbortController().signal,
  closing: new AbortController().signal,
  certificate: undefined,
};

export const connectionKey: ContextKey<Connection> = createContextKey<Connection>(none, {
  description: "connection of this call",
});
