import type * as net from "node:net";

/** What every HTTP/2 connection begins with (RFC 9113, section 3.4); no HTTP/1.1 request does. */
const preface = Buffer.from("PRI * HTTP/2.0\r\n");

/** What every TLS connection begins with, the type of its first record (RFC 8446, section 5.1); no HTTP does. */
const handshakeType = 22;

export type Protocol = "http1" | "http2" | "tls";

/**
 * Finds out from its first bytes which protocol a socket speaks, and leaves the bytes in it. Destroys the socket if it
 * ends, or says too little within `timeoutMs`.
 */
export function detectProtocol(
  socket: net.Socket,
  timeoutMs: number,
  decided: (protocol: Protocol) => void,
): void {
  let received = Buffer.alloc(0);
  const stop = (): void => {
    clearTimeout(timer);
    socket.off("readable", read);
    socket.off("end", giveUp);
    socket.off("close", stop);
  };
  const giveUp = (): void => {
    stop();
    socket.destroy();
  };
  const read = (): void => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    received = Buffer.concat([received, chunk]);
    const length = Math.min(received.length, preface.length);
    const isPreface = preface.subarray(0, length).equals(received.subarray(0, length));
    if (isPreface && length < preface.length) return;
    stop();
    socket.unshift(received);
    if (received[0] === handshakeType) decided("tls");
    else decided(isPreface ? "http2" : "http1");
  };
  const timer = setTimeout(giveUp, timeoutMs);
  socket.on("readable", read);
  socket.on("end", giveUp);
  socket.on("close", stop);
}
