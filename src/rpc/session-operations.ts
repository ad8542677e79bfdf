import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type {
  DeviceInfo as WireDevice,
  MessageRouter,
  PartyInfoSchema,
} from "../../gen/mpc/router/v1/message_router_pb.js";
import { requireCoordinator, type Caller } from "../domain/caller.ts";
import { areAllCompleted } from "../domain/sessions/session-completion.ts";
import type { SessionOperations } from "../domain/sessions/session-operations.ts";
import { areAllReady } from "../domain/sessions/session-state.ts";
import type { DeviceInfo, SessionParty } from "../domain/sessions/session.ts";
import { callerOf } from "./caller.ts";

/** These make the whole service `mpc.coordinator.v1.SessionOperations` too. */
type OperationHandlers = Pick<
  ServiceImpl<typeof MessageRouter>,
  "joinSession" | "markPartyReady" | "reportCompletion" | "getSessionStatus" | "submitDelegateShare"
>;

/** `callerOfCall`: for parties that call themselves by default; see {@link proxiedCaller}. */
export function createSessionOperationHandlers(
  operations: SessionOperations,
  callerOfCall: (context: HandlerContext) => Caller = callerOf,
): OperationHandlers {
  return {
    async joinSession(request, context) {
      const { record, party } = await operations.join(callerOfCall(context), {
        sessionId: request.sessionId,
        partyId: request.partyId,
        joinToken: request.joinToken,
        deviceInfo: deviceOf(request.deviceInfo),
      });
      return {
        success: true,
        sessionInfo: {
          sessionId: record.sessionId,
          sessionType: record.type,
          thresholdN: record.thresholdN,
          thresholdT: record.thresholdT,
          messageHash: record.messageHash,
          status: record.status,
        },
        otherParties: record.parties
          .filter((other) => other.partyId !== party.partyId)
          .map(wireParty),
        partyIndex: party.partyIndex,
      };
    },
    async markPartyReady(request, context) {
      const record = await operations.markReady(callerOfCall(context), request);
      return { success: true, allReady: areAllReady(record.parties) };
    },
    async reportCompletion(request, context) {
      const record = await operations.reportCompletion(callerOfCall(context), request);
      return { success: true, allCompleted: areAllCompleted(record) };
    },
    async getSessionStatus({ sessionId }, context) {
      const record = await operations.getStatus(callerOfCall(context), sessionId);
      return {
        sessionId: record.sessionId,
        status: record.status,
        thresholdN: record.thresholdN,
        thresholdT: record.thresholdT,
        participants: record.parties.map(wireParty),
      };
    },
    async submitDelegateShare(request, context) {
      await operations.submitDelegateShare(callerOfCall(context), request);
      return { success: true };
    },
  };
}

/** A router that calls for its parties has checked that each is who it says; so it may name any of them. */
export function proxiedCaller(context: HandlerContext): Caller {
  requireCoordinator(callerOf(context));
  return { kind: "open" };
}

/** A party's device is shown once it has joined, and never in what is kept of a session. */
function wireParty(party: SessionParty): MessageInitShape<typeof PartyInfoSchema> {
  const { partyId, partyIndex, deviceInfo } = party;
  return { partyId, partyIndex, ...(deviceInfo === undefined ? {} : { deviceInfo }) };
}

function deviceOf(wire: WireDevice | undefined): DeviceInfo {
  return {
    deviceType: wire?.deviceType ?? "",
    deviceId: wire?.deviceId ?? "",
    platform: wire?.platform ?? "",
    appVersion: wire?.appVersion ?? "",
  };
}
