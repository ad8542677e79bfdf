import type { Interceptor } from "@connectrpc/connect";
import {
  MessageRouter,
  type MPCMessage,
  type RouteMessageRequest,
  type RouteMessageResponse,
} from "../../gen/mpc/router/v1/message_router_pb.js";
import type { FromParty } from "./party-messages.ts";

const { routeMessage, subscribeMessages } = MessageRouter.method;

/** Tells of a party's messages as they go through the router: sealed, and each once. */
export function tapTraffic(tell: (news: FromParty) => void): Interceptor {
  const received = new Set<string>();
  const tap = async function* (messages: AsyncIterable<MPCMessage>): AsyncGenerator<MPCMessage> {
    for await (const message of messages) {
      const { messageId } = message;
      if (!received.has(messageId)) tell({ kind: "received", messageId, receivedAt: nowMs() });
      received.add(messageId);
      yield message;
    }
  };
  return (next) => async (request) => {
    const sentAt = nowMs();
    const response = await next(request);
    if (response.stream && request.method.name === subscribeMessages.name) {
      return { ...response, message: tap(response.message as AsyncIterable<MPCMessage>) };
    }
    if (!request.stream && !response.stream && request.method.name === routeMessage.name) {
      const { roundNumber, messageType, payload } = request.message as RouteMessageRequest;
      const { messageId } = response.message as RouteMessageResponse;
      const size = { round: roundNumber, type: messageType, bytes: payload.length };
      tell({ kind: "sent", messageId, sentAt, ...size });
    }
    return response;
  };
}

/** Unix milliseconds with fractions: comparable between processes of one machine. */
function nowMs(): number {
  return performance.timeOrigin + performance.now();
}
