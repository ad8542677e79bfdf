import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type {
  CreateSessionRequest,
  SessionCoordinator,
  SessionSchema,
} from "../../gen/mpc/coordinator/v1/coordinator_pb.js";
import { withinBudget } from "../domain/call-budget.ts";
import type { ControlPlane } from "../domain/sessions/control-plane.ts";
import type { CreateRequest } from "../domain/sessions/create-request.ts";
import type { SessionRecord } from "../domain/sessions/session.ts";
import { callerOf } from "./caller.ts";
import { openStream, relay, streamSignal } from "./streaming.ts";

export function createCoordinatorHandlers(
  control: ControlPlane,
): ServiceImpl<typeof SessionCoordinator> {
  return {
    async createSession(request, context) {
      const created = await control.createSession(callerOf(context), createRequest(request));
      return {
        success: true,
        session: wireSession(created.record),
        joinTokens: Object.fromEntries(created.joinTokens),
      };
    },
    async getSession({ sessionId }, context) {
      const record = await control.getSession(callerOf(context), sessionId);
      return { session: wireSession(record) };
    },
    async listSessions(request, context) {
      const { records, nextPageToken } = await control.listSessions(callerOf(context), {
        status: request.statusFilter,
        type: request.typeFilter,
        partyId: request.partyFilter,
        pageSize: request.pageSize,
        pageToken: request.pageToken,
      });
      return { sessions: records.map(wireSession), nextPageToken };
    },
    async cancelSession({ sessionId, reason }, context) {
      const record = await control.cancelSession(callerOf(context), sessionId, reason);
      return { success: true, status: record.status };
    },
    async *watchSession({ sessionId }, context) {
      const opening = control.watchSession(callerOf(context), sessionId, streamSignal(context));
      const states = await withinBudget("watching a session", opening);
      openStream(context);
      yield* relay(context, states, wireSession);
    },
    async takeDelegateShare(request, context) {
      const share = await control.takeDelegateShare(callerOf(context), request);
      return { ...share, eraseAt: BigInt(share.eraseAt) };
    },
    async confirmDelegateShare(request, context) {
      await control.confirmDelegateShare(callerOf(context), request);
      return { success: true };
    },
  };
}

function createRequest(wire: CreateSessionRequest): CreateRequest {
  const { delegateUserShare } = wire;
  return {
    requestId: wire.requestId,
    sessionType: wire.sessionType,
    thresholdN: wire.thresholdN,
    thresholdT: wire.thresholdT,
    selectedParties: wire.selectedParties,
    roleCounts: wire.roleCounts,
    messageHash: wire.messageHash,
    expiresInMs: Number(wire.expiresInMs),
    keygenSessionId: wire.keygenSessionId,
    ...(delegateUserShare === undefined ? {} : { lentShare: delegateUserShare }),
    userPublicKey: wire.userPublicKey,
  };
}

function wireSession(record: SessionRecord): MessageInitShape<typeof SessionSchema> {
  return {
    sessionId: record.sessionId,
    sessionType: record.type,
    status: record.status,
    thresholdN: record.thresholdN,
    thresholdT: record.thresholdT,
    parties: record.parties.map((party) => ({
      partyId: party.partyId,
      partyIndex: party.partyIndex,
      role: party.role,
      state: party.state,
      ...(party.deviceInfo === undefined ? {} : { deviceInfo: party.deviceInfo }),
      updatedAt: BigInt(party.updatedAt),
    })),
    messageHash: record.messageHash,
    publicKey: record.publicKey,
    signature: record.signature,
    failureReason: record.failureReason,
    keygenSessionId: record.keygenSessionId,
    delegateShareState: record.delegateShare.state,
    createdAt: BigInt(record.createdAt),
    expiresAt: BigInt(record.expiresAt),
    endedAt: BigInt(record.endedAt),
  };
}
