import type { IncomingMessage, ServerResponse } from "node:http";
import { constants } from "node:http2";
import { http2StreamOf } from "./dual-server.ts";
import type { TransportTimeouts } from "./limits.ts";

/**
 * Cuts a call whose client has stalled and that nothing else would end: over HTTP/1.1 one that stopped reading its answer
 * (requests have their own time-outs), over HTTP/2 one that stopped sending its request (a client that stopped reading
 * is held back by flow control, and a dead one is found by PING). Silence where nothing is due cuts nothing.
 */
export function cutStalled(
  request: IncomingMessage,
  response: ServerResponse,
  timeouts: TransportTimeouts,
): void {
  const stream = http2StreamOf(response);
  if (stream === undefined) {
    // Node counts bytes that the kernel takes as activity, so a slow reader is not cut.
    response.setTimeout(timeouts.blockedWriteMs, () => {
      if (response.writableLength > 0) response.destroy();
    });
  } else {
    stream.setTimeout(timeouts.requestMs);
    stream.on("timeout", () => {
      if (request.complete) return;
      // After an answer it asks the client to stop sending, but to keep the answer (RFC 9113, section 8.1).
      stream.close(response.writableEnded ? constants.NGHTTP2_NO_ERROR : constants.NGHTTP2_CANCEL);
    });
  }
}
