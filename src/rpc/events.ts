import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type {
  MessageRouter,
  SessionEvent as WireEvent,
  SessionEventSchema,
} from "../../gen/mpc/router/v1/message_router_pb.js";
import type { EventPublication } from "../domain/events/event-publication.ts";
import type { EventStreams } from "../domain/events/event-streams.ts";
import type { EventPublisher } from "../domain/events/publishing.ts";
import type { PartyEvent } from "../domain/events/session-event.ts";
import { callerOf } from "./caller.ts";
import { openStream, relay } from "./streaming.ts";

type EventHandlers = Pick<
  ServiceImpl<typeof MessageRouter>,
  "subscribeSessionEvents" | "publishSessionEvent"
>;

export interface EventHandlerDeps {
  readonly streams: EventStreams;
  readonly publisher: EventPublisher;
}

export function createEventHandlers({ streams, publisher }: EventHandlerDeps): EventHandlers {
  return {
    async *subscribeSessionEvents(req, ctx) {
      await using subscription = await streams.open(callerOf(ctx), {
        partyId: req.partyId,
        eventTypes: req.eventTypes,
        lastEventId: metadata(ctx, "Last-Event-ID"),
      });
      const { signal, onAlive } = openStream(ctx);
      using listening = new DisposableStack();
      listening.defer(onAlive(() => subscription.alive()));
      const events = subscription.events(signal);
      yield* relay(ctx, events, (event) => wireEvent(event, req.partyId));
    },
    async publishSessionEvent(req, ctx) {
      const event = req.event && publicationOf(req.event, metadata(ctx, "Keygen-Session-Id"));
      const subscriberCount = await publisher.publish(callerOf(ctx), event);
      return { success: true, subscriberCount };
    },
  };
}

/** Empty when the caller sent none. */
function metadata(context: HandlerContext, name: string): string {
  return context.requestHeader.get(name) ?? "";
}

function publicationOf(wire: WireEvent, keygenSessionId: string): EventPublication {
  const { delegateUserShare } = wire;
  return {
    eventId: wire.eventId,
    eventType: wire.eventType,
    sessionId: wire.sessionId,
    thresholdN: wire.thresholdN,
    thresholdT: wire.thresholdT,
    selectedParties: wire.selectedParties,
    joinTokens: new Map(Object.entries(wire.joinTokens)),
    messageHash: wire.messageHash,
    createdAt: Number(wire.createdAt),
    expiresAt: Number(wire.expiresAt),
    keygenSessionId,
    ...(delegateUserShare === undefined
      ? {}
      : {
          delegateUserShare: {
            delegatePartyId: delegateUserShare.delegatePartyId,
            encryptedShare: delegateUserShare.encryptedShare,
            partyIndex: delegateUserShare.partyIndex,
          },
        }),
  };
}

/** The reader's copy: of the tokens it has its own only. */
function wireEvent(
  event: PartyEvent,
  partyId: string,
): MessageInitShape<typeof SessionEventSchema> {
  const { joinToken, lentShare } = event;
  return {
    eventId: event.eventId,
    eventType: event.eventType,
    sessionId: event.sessionId,
    thresholdN: event.thresholdN,
    thresholdT: event.thresholdT,
    selectedParties: [...event.selectedParties],
    messageHash: event.messageHash,
    createdAt: BigInt(event.createdAt),
    expiresAt: BigInt(event.expiresAt),
    ...(joinToken === undefined ? {} : { joinTokens: { [partyId]: joinToken } }),
    ...(lentShare === undefined ? {} : { delegateUserShare: lentShare }),
  };
}
