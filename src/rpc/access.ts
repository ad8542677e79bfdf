import type { DescMethod } from "@bufbuild/protobuf";
import { Health } from "../../gen/grpc/health/v1/health_pb.js";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as ServerReflectionAlpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.js";
import {
  SessionCoordinator,
  SessionOperations,
} from "../../gen/mpc/coordinator/v1/coordinator_pb.js";
import { MessageRouter } from "../../gen/mpc/router/v1/message_router_pb.js";
import type { RouterErrorReason } from "../domain/errors.ts";

/** What a call that is right otherwise is answered with. */
export type Outcome = "ok" | RouterErrorReason;

/** What one call is answered with, by who makes it. */
export interface Access {
  /** No credential. */
  readonly nobody: Outcome;
  /** The party that the request names and that the call is for. */
  readonly self: Outcome;
  /** Another party of the session that sends the same request. */
  readonly other: Outcome;
  /** A registered party that is not of the session, and names itself. */
  readonly stranger: Outcome;
  readonly coordinator: Outcome;
}

export const principals = ["nobody", "self", "other", "stranger", "coordinator"] as const;
export type Principal = (typeof principals)[number];

const everybody: Access = all("ok");
const anyCredential: Access = { ...everybody, nobody: "UNAUTHENTICATED" };
/** A coordinator never acts as a party, and nobody but itself is a party. */
const party: Access = { ...all("CALLER_MISMATCH"), nobody: "UNAUTHENTICATED", self: "ok" };
const anyParty: Access = { ...party, stranger: "ok" };
const member: Access = { ...party, stranger: "SESSION_NOT_FOUND" };
const coordinator: Access = {
  ...all("COORDINATOR_ONLY"),
  nobody: "UNAUTHENTICATED",
  coordinator: "ok",
};

/** Who may call what, with authentication on; a method that is missing does not compile. */
const byService = {
  [MessageRouter.typeName]: {
    routeMessage: member,
    subscribeMessages: member,
    getPendingMessages: member,
    acknowledgeMessage: member,
    // The other party is not a recipient.
    getMessageStatus: { ...member, other: "MESSAGE_NOT_FOUND", coordinator: "ok" },
    registerParty: anyParty,
    heartbeat: anyParty,
    subscribeSessionEvents: anyParty,
    publishSessionEvent: coordinator,
    // A party is shown those of its own sessions.
    getRegisteredParties: anyCredential,
    joinSession: { ...party, stranger: "JOIN_DENIED" },
    markPartyReady: member,
    reportCompletion: member,
    getSessionStatus: { ...member, other: "ok", coordinator: "ok" },
    submitDelegateShare: member,
  } satisfies Record<keyof typeof MessageRouter.method, Access>,
  [SessionCoordinator.typeName]: {
    createSession: coordinator,
    getSession: coordinator,
    listSessions: coordinator,
    cancelSession: coordinator,
    watchSession: coordinator,
    takeDelegateShare: coordinator,
    confirmDelegateShare: coordinator,
  } satisfies Record<keyof typeof SessionCoordinator.method, Access>,
  // For another router, which has checked who its parties are, and names them.
  [SessionOperations.typeName]: {
    joinSession: coordinator,
    markPartyReady: coordinator,
    reportCompletion: coordinator,
    getSessionStatus: coordinator,
    submitDelegateShare: coordinator,
  } satisfies Record<keyof typeof SessionOperations.method, Access>,
  [Health.typeName]: {
    check: everybody,
    watch: everybody,
  } satisfies Record<keyof typeof Health.method, Access>,
  [ServerReflection.typeName]: {
    serverReflectionInfo: anyCredential,
  } satisfies Record<keyof typeof ServerReflection.method, Access>,
  [ServerReflectionAlpha.typeName]: {
    serverReflectionInfo: anyCredential,
  } satisfies Record<keyof typeof ServerReflectionAlpha.method, Access>,
};

/** By the method's full name, in the spelling of this language. */
export const accessByMethod: ReadonlyMap<string, Access> = new Map(
  Object.entries(byService).flatMap(([service, methods]) =>
    Object.entries(methods).map(([method, access]) => [`${service}/${method}`, access] as const),
  ),
);

/** What is not in the table is the coordinator's. */
export function accessTo(method: DescMethod): Access {
  return accessByMethod.get(`${method.parent.typeName}/${method.localName}`) ?? coordinator;
}

/**
 * Why no call of this method can be for such a caller, whatever it asks; `undefined` where that depends on the request,
 * and is the domain's to say.
 */
export function refusalFor(
  { self, other, stranger, coordinator: byCoordinator }: Access,
  kind: "party" | "coordinator",
): RouterErrorReason | undefined {
  if (kind === "coordinator") return byCoordinator === "ok" ? undefined : byCoordinator;
  const isSame = self === other && other === stranger;
  return isSame && self !== "ok" ? self : undefined;
}

function all(outcome: Outcome): Access {
  return {
    nobody: outcome,
    self: outcome,
    other: outcome,
    stranger: outcome,
    coordinator: outcome,
  };
}
