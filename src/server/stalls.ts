import type { IncomingMessage, ServerResponse } from "node:http";
import { constants } from "node:http2";
import type { TransportTimeouts } from "./limits.ts";
import { http2StreamOf } from "./peers.ts";

/**
 * Cuts a call whose client has stalled and that nothing else would end: over HTTP/1.1 one that stopped reading its answer
 * (requests have their own time-outs), over HTTP/2 one that stopped sending its request, or reading an answer that is
 * complete (of a stream that goes on little is held for a client that stopped reading, and a dead one is found by PING).
 * Silence where nothing is due cuts nothing.
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
      const isAnswered = response.writableEnded;
      if (request.complete && !isAnswered) return;
      // After an answer it asks the client to stop sending, but to keep the answer (RFC 9113, section 8.1).
      const keepsAnswer = isAnswered && !request.complete;
      stream.close(keepsAnswer ? constants.NGHTTP2_NO_ERROR : constants.NGHTTP2_CANCEL);
    });
  }
}
