import { constants } from "node:crypto";
import type * as net from "node:net";
import * as tls from "node:tls";

/** What a TLS port shows its clients, and wants of them; all PEM. */
export interface TlsMaterial {
  /** The server's certificate, then those between it and the one that clients trust. */
  readonly cert: string;
  readonly key: string;
  /** The authorities of the clients' certificates. With them clients are asked for one, and may have none. */
  readonly clientCa?: string | undefined;
}

export interface TlsPort {
  /** Takes a connection whose first bytes, still in it, are those of TLS. */
  accept(socket: net.Socket): void;
  /** For the handshakes to come; connections that are open keep what they have. */
  replace(material: TlsMaterial): void;
}

export interface TlsPortOptions {
  readonly material: TlsMaterial;
  readonly handshakeMs: number;
  /** Told of each connection that has come through the handshake. */
  readonly onSecure: (socket: tls.TLSSocket) => void;
}

/** TLS from 1.2, where ALPN decides between HTTP/2 and HTTP/1.1. */
export function createTlsPort({ material, handshakeMs, onSecure }: TlsPortOptions): TlsPort {
  const options: tls.TlsOptions = {
    ...contextOptions(material),
    ALPNProtocols: ["h2", "http/1.1"],
    handshakeTimeout: handshakeMs,
    requestCert: material.clientCa !== undefined,
    // One that cannot be verified is refused call by call, where a client can read why.
    rejectUnauthorized: false,
  };
  const server = tls.createServer(options, (socket) => {
    socket.allowHalfOpen = true;
    onSecure(socket);
  });
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  return {
    accept(socket) {
      // Or a client that leaves in the middle of its handshake is waited for.
      socket.allowHalfOpen = false;
      server.emit("connection", socket);
    },
    replace: (next) => server.setSecureContext(contextOptions(next)),
  };
}

function contextOptions({ cert, key, clientCa }: TlsMaterial): tls.SecureContextOptions {
  const options: tls.SecureContextOptions = { cert, key, minVersion: "TLSv1.2" };
  if (clientCa === undefined) return options;
  // A resumed connection would be believed what was true of its certificate once.
  return { ...options, ca: clientCa, secureOptions: constants.SSL_OP_NO_TICKET };
}

/** Ends a connection that speaks cleartext to a TLS port, with an answer that its client can read. */
export function refuseCleartext(socket: net.Socket, protocol: "http1" | "http2"): void {
  socket.end(protocol === "http1" ? plainAnswer : goaway());
  // What it goes on to say is not looked at, nor waited for.
  socket.once("finish", () => socket.destroySoon());
}

const explanation = "this port speaks TLS\n";

const plainAnswer: string = [
  "HTTP/1.1 400 Bad Request",
  "Connection: close",
  "Content-Type: text/plain; charset=utf-8",
  `Content-Length: ${explanation.length}`,
  "",
  explanation,
].join("\r\n");

/** Empty SETTINGS, then GOAWAY with INADEQUATE_SECURITY (RFC 9113, section 7). */
function goaway(): Buffer {
  const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
  const head = Buffer.from([0, 0, 8 + explanation.length, 7, 0, 0, 0, 0, 0]);
  const body = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0xc]);
  return Buffer.concat([settings, head, body, Buffer.from(explanation)]);
}
