import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { MessageRouter, MPCMessageSchema } from "../../gen/mpc/router/v1/message_router_pb.js";
import { withinBudget } from "../domain/call-budget.ts";
import type { AcknowledgeMessage } from "../domain/messages/acknowledging.ts";
import type { GetMessageStatus } from "../domain/messages/message-status.ts";
import type { Message } from "../domain/messages/message.ts";
import type { Receiving } from "../domain/messages/receiving.ts";
import { noEvents, type PartyStreams } from "../domain/parties/party-streams.ts";
import type { RouteMessage } from "../domain/messages/routing.ts";
import { callerOf, expiryKey } from "./caller.ts";
import { createLargeMessagesInTurn } from "./large-messages.ts";
import { preferredWaitSeconds } from "./metadata.ts";
import { openStream, relay, streamSignal } from "./streaming.ts";

/** The domain calls behind the message RPCs. */
export interface Messaging {
  readonly route: RouteMessage;
  readonly receiving: Receiving;
  readonly acknowledge: AcknowledgeMessage;
  readonly status: GetMessageStatus;
  readonly partyStreams: Pick<PartyStreams, "enter">;
}

type MessageHandlers = Pick<
  ServiceImpl<typeof MessageRouter>,
  | "routeMessage"
  | "subscribeMessages"
  | "getPendingMessages"
  | "acknowledgeMessage"
  | "getMessageStatus"
>;

export function createMessageHandlers(messaging: Messaging): MessageHandlers {
  const inTurn = createLargeMessagesInTurn();
  return {
    async routeMessage(request, context) {
      const messageId = await messaging.route(callerOf(context), {
        ...request,
        idempotencyKey: context.requestHeader.get("Idempotency-Key") ?? undefined,
      });
      return { success: true, messageId };
    },

    async *subscribeMessages({ sessionId, partyId }, context) {
      const box = { sessionId, partyId };
      // A stream that opens too late would take the mailbox from the one that its caller opens next.
      const late = new AbortController();
      const signal = AbortSignal.any([streamSignal(context), late.signal]);
      const opening = messaging.receiving.subscribe(callerOf(context), box, signal);
      const messages = await withinBudget("subscribing", opening).catch((error: unknown) => {
        late.abort();
        throw error;
      });
      await using presence = await messaging.partyStreams.enter(partyId, noEvents);
      const { onAlive } = openStream(context);
      using listening = new DisposableStack();
      listening.defer(onAlive(() => presence.alive()));
      yield* relay(context, inTurn(messages), toWire);
    },

    async getPendingMessages(request, context) {
      const messages = await messaging.receiving.pending(
        callerOf(context),
        {
          sessionId: request.sessionId,
          partyId: request.partyId,
          afterTimestamp: Number(request.afterTimestamp),
          waitSeconds: preferredWaitSeconds(context.requestHeader),
        },
        streamSignal(context),
      );
      // What was found by then is given.
      if (messages.length === 0) context.values.get(expiryKey).throwIfAborted();
      return { messages: messages.map(toWire) };
    },

    async acknowledgeMessage(request, context) {
      const message = await messaging.acknowledge(callerOf(context), request);
      return { success: true, message };
    },

    async getMessageStatus({ messageId, sessionId }, context) {
      const call = { messageId, sessionId };
      const { rows, allAcknowledged } = await messaging.status(callerOf(context), call);
      return {
        messageId,
        sessionId,
        deliveries: rows.map((row) => ({
          ...row,
          deliveredAt: BigInt(row.deliveredAt),
          acknowledgedAt: BigInt(row.acknowledgedAt),
        })),
        allAcknowledged,
      };
    },
  };
}

function toWire(message: Message): MessageInitShape<typeof MPCMessageSchema> {
  return { ...message, createdAt: BigInt(message.createdAt) };
}
