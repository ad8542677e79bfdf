import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type {
  MessageRouter,
  NotificationChannel as WireChannel,
  RegisteredPartySchema,
} from "../../gen/mpc/router/v1/message_router_pb.js";
import type { NotificationChannel } from "../domain/parties/party.ts";
import type { PartyRegistry, PartyView } from "../domain/parties/party-registry.ts";
import { callerOf } from "./caller.ts";

type PartyHandlers = Pick<
  ServiceImpl<typeof MessageRouter>,
  "registerParty" | "heartbeat" | "getRegisteredParties"
>;

export function createPartyHandlers(registry: PartyRegistry): PartyHandlers {
  return {
    async registerParty(req, ctx) {
      const party = await registry.register(callerOf(ctx), {
        partyId: req.partyId,
        role: req.partyRole,
        version: req.version,
        channel: channelOf(req.notification),
      });
      return { success: true, message: "registered", registeredAt: BigInt(party.registeredAt) };
    },
    async heartbeat(req, ctx) {
      const beat = await registry.heartbeat(callerOf(ctx), req.partyId);
      return {
        success: true,
        serverTimestamp: BigInt(beat.serverTimestamp),
        pendingMessages: beat.pendingMessages,
      };
    },
    async getRegisteredParties(req, ctx) {
      const filter = { role: req.roleFilter, onlyOnline: req.onlyOnline };
      const parties = await registry.list(callerOf(ctx), filter);
      return { parties: parties.map(wireParty), totalCount: parties.length };
    },
  };
}

function channelOf(wire: WireChannel | undefined): NotificationChannel {
  return {
    email: wire?.email ?? "",
    phone: wire?.phone ?? "",
    pushToken: wire?.pushToken ?? "",
  };
}

function wireParty(view: PartyView): MessageInitShape<typeof RegisteredPartySchema> {
  const { party, online, lastSeenAt, channel } = view;
  return {
    partyId: party.partyId,
    role: party.role,
    online,
    registeredAt: BigInt(party.registeredAt),
    lastSeenAt: BigInt(lastSeenAt),
    notification: channel,
  };
}
