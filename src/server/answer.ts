import type { IncomingMessage, ServerResponse } from "node:http";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import type { FastifyReply, FastifyRequest } from "fastify";
import { answerHeaders } from "./connection.ts";
import { lingerMs } from "./limits.ts";
import { http2StreamOf } from "./peers.ts";

/**
 * Writes the answer as fast as the client reads it, the headers together with the first bytes unless they are out
 * already. Resolves when all is handed over, or the client has left.
 */
export async function writeAnswer(
  answer: UniversalServerResponse,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const response = reply.raw;
  let isGone = false;
  response.once("close", () => (isGone = true));
  // Writing may lose the race against the client's leaving; "close" follows.
  response.on("error", () => undefined);
  for await (const chunk of answer.body ?? []) {
    if (isGone) return;
    sendHeaders(answer, reply);
    if (!response.write(chunk)) await writable(response);
  }
  if (isGone) return;
  sendHeaders(answer, reply);
  if (answer.trailer !== undefined) response.addTrailers(Object.fromEntries(answer.trailer));
  if (!request.raw.complete) discardRest(request.raw, response);
  response.end();
}

/**
 * Gets rid of what still comes of a request that is answered before it has come in full, as one over the limit is. The
 * client is let finish: reset in the middle of an upload, a client of Node soon refuses all answers on the connection.
 */
function discardRest(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  // One that has nothing more to send, but does not end its request either, is cut as stalled.
  http2StreamOf(response)?.setTimeout(lingerMs);
}

function sendHeaders(answer: UniversalServerResponse, reply: FastifyReply): void {
  const response = reply.raw;
  if (response.headersSent) return;
  response.writeHead(answer.status, answerHeaders(reply, answer.header));
}

/** Resolves when the client has read enough for more to be written, or has left. */
function writable(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off("drain", done);
      response.off("close", done);
      resolve();
    };
    response.on("drain", done);
    response.on("close", done);
  });
}
