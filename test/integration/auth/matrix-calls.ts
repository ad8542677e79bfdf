import { createClient, type Client, type Transport } from "@connectrpc/connect";
import { Health } from "../../../gen/grpc/health/v1/health_pb.js";
import { ServerReflection } from "../../../gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as ServerReflectionAlpha } from "../../../gen/grpc/reflection/v1alpha/reflection_pb.js";
import {
  SessionCoordinator,
  SessionOperations,
} from "../../../gen/mpc/coordinator/v1/coordinator_pb.js";
import { MessageRouter } from "../../../gen/mpc/router/v1/message_router_pb.js";
import type { Principal } from "../../../src/rpc/access.ts";

/** Every service, with one principal's credential. */
export interface Clients {
  readonly router: Client<typeof MessageRouter>;
  readonly coordinator: Client<typeof SessionCoordinator>;
  readonly operations: Client<typeof SessionOperations>;
  readonly health: Client<typeof Health>;
  readonly reflection: Client<typeof ServerReflection>;
  readonly reflectionAlpha: Client<typeof ServerReflectionAlpha>;
}

export function clientsBy(transport: Transport): Clients {
  return {
    router: createClient(MessageRouter, transport),
    coordinator: createClient(SessionCoordinator, transport),
    operations: createClient(SessionOperations, transport),
    health: createClient(Health, transport),
    reflection: createClient(ServerReflection, transport),
    reflectionAlpha: createClient(ServerReflectionAlpha, transport),
  };
}

/** What the calls of a matrix are about: a session of `self`, who is the delegate, `other`, and a third. */
export interface Scene {
  readonly sessionId: string;
  readonly self: string;
  readonly third: string;
  readonly stranger: string;
  readonly joinToken: string;
  /** To `self` from the third. */
  readonly received: string;
  /** From `self` to the third, once it was routed. */
  sent: string;
  /** A session to be cancelled. */
  readonly spareSessionId: string;
  /** Has the others of the session come as far as `self` has to be able to go on. */
  othersReady(): Promise<void>;
  othersComplete(): Promise<void>;
}

/** One call: `named` is the party that the request is of, which is `self` unless a stranger calls. */
type Call = (clients: Clients, named: string, scene: Scene) => Promise<unknown>;

export interface Step {
  readonly call: Call;
  /** What has to have happened before anybody makes it. */
  readonly before?: (scene: Scene) => Promise<void>;
}

export function namedBy(principal: Principal, scene: Scene): string {
  return principal === "stranger" ? scene.stranger : scene.self;
}

export const publicKey: Uint8Array<ArrayBuffer> = new Uint8Array(33).fill(2);
const share = { partyIndex: 0, encryptedShare: new Uint8Array([1, 2, 3]), publicKey };
const router = `${MessageRouter.typeName}/`;
const control = `${SessionCoordinator.typeName}/`;
const operations = `${SessionOperations.typeName}/`;

/** A right call of every method, in an order in which they can succeed; each may be repeated. */
export const steps: Readonly<Record<string, Step>> = {
  [`${Health.typeName}/check`]: { call: ({ health }) => health.check({}) },
  [`${Health.typeName}/watch`]: { call: ({ health }) => first(health.watch({})) },
  [`${ServerReflection.typeName}/serverReflectionInfo`]: {
    call: ({ reflection }) => first(reflection.serverReflectionInfo(question())),
  },
  [`${ServerReflectionAlpha.typeName}/serverReflectionInfo`]: {
    call: ({ reflectionAlpha }) => first(reflectionAlpha.serverReflectionInfo(question())),
  },
  [`${router}registerParty`]: {
    call: (clients, partyId) =>
      clients.router.registerParty({ partyId, partyRole: "delegate", version: "2" }),
  },
  [`${router}heartbeat`]: { call: (clients, partyId) => clients.router.heartbeat({ partyId }) },
  [`${router}getRegisteredParties`]: {
    call: (clients) => clients.router.getRegisteredParties({}),
  },
  [`${router}subscribeSessionEvents`]: {
    call: (clients, partyId) => first(clients.router.subscribeSessionEvents({ partyId })),
  },
  [`${router}joinSession`]: {
    call: (clients, partyId, { sessionId, joinToken }) =>
      clients.router.joinSession({ sessionId, partyId, joinToken }),
  },
  [`${router}getSessionStatus`]: {
    call: (clients, _, { sessionId }) => clients.router.getSessionStatus({ sessionId }),
  },
  [`${router}routeMessage`]: {
    async call(clients, fromParty, scene) {
      const { sessionId, third } = scene;
      const request = { sessionId, fromParty, toParties: [third] };
      scene.sent = (await clients.router.routeMessage(request)).messageId;
    },
  },
  [`${router}getMessageStatus`]: {
    call: (clients, _, { sessionId, sent: messageId }) =>
      clients.router.getMessageStatus({ sessionId, messageId }),
  },
  [`${router}subscribeMessages`]: {
    call: (clients, partyId, { sessionId }) =>
      first(clients.router.subscribeMessages({ sessionId, partyId })),
  },
  [`${router}getPendingMessages`]: {
    call: (clients, partyId, { sessionId }) =>
      clients.router.getPendingMessages({ sessionId, partyId }),
  },
  [`${router}acknowledgeMessage`]: {
    call: (clients, partyId, { sessionId, received: messageId }) =>
      clients.router.acknowledgeMessage({ sessionId, partyId, messageId, success: true }),
  },
  [`${router}markPartyReady`]: {
    before: (scene) => scene.othersReady(),
    call: (clients, partyId, { sessionId }) =>
      clients.router.markPartyReady({ sessionId, partyId }),
  },
  [`${router}submitDelegateShare`]: {
    call: (clients, partyId, { sessionId }) =>
      clients.router.submitDelegateShare({ sessionId, partyId, ...share }),
  },
  [`${router}reportCompletion`]: {
    call: (clients, partyId, { sessionId }) =>
      clients.router.reportCompletion({ sessionId, partyId, publicKey }),
  },
  [`${router}publishSessionEvent`]: {
    call: (clients, partyId, { sessionId }) =>
      clients.router.publishSessionEvent({
        event: {
          eventId: `note-${sessionId}`,
          eventType: "note",
          sessionId,
          selectedParties: [partyId],
          createdAt: 1n,
        },
      }),
  },
  [`${operations}joinSession`]: {
    call: (clients, partyId, { sessionId, joinToken }) =>
      clients.operations.joinSession({ sessionId, partyId, joinToken }),
  },
  [`${operations}markPartyReady`]: {
    call: (clients, partyId, { sessionId }) =>
      clients.operations.markPartyReady({ sessionId, partyId }),
  },
  [`${operations}getSessionStatus`]: {
    call: (clients, _, { sessionId }) => clients.operations.getSessionStatus({ sessionId }),
  },
  [`${operations}submitDelegateShare`]: {
    call: (clients, partyId, { sessionId }) =>
      clients.operations.submitDelegateShare({ sessionId, partyId, ...share }),
  },
  [`${operations}reportCompletion`]: {
    call: (clients, partyId, { sessionId }) =>
      clients.operations.reportCompletion({ sessionId, partyId, publicKey }),
  },
  [`${control}createSession`]: {
    call: (clients, self, { third }) =>
      clients.coordinator.createSession({
        sessionType: "keygen",
        thresholdN: 2,
        thresholdT: 2,
        selectedParties: [self, third],
      }),
  },
  [`${control}getSession`]: {
    call: (clients, _, { sessionId }) => clients.coordinator.getSession({ sessionId }),
  },
  [`${control}listSessions`]: { call: (clients) => clients.coordinator.listSessions({}) },
  [`${control}cancelSession`]: {
    call: (clients, _, { spareSessionId: sessionId }) =>
      clients.coordinator.cancelSession({ sessionId }),
  },
  [`${control}watchSession`]: {
    call: (clients, _, { sessionId }) => first(clients.coordinator.watchSession({ sessionId })),
  },
  [`${control}takeDelegateShare`]: {
    before: (scene) => scene.othersComplete(),
    call: (clients, _, { sessionId }) =>
      clients.coordinator.takeDelegateShare({ sessionId, takeId: "take" }),
  },
  [`${control}confirmDelegateShare`]: {
    call: (clients, _, { sessionId }) =>
      clients.coordinator.confirmDelegateShare({ sessionId, takeId: "take" }),
  },
};

/** The first item of a stream, or what refuses it. */
async function first<T>(stream: AsyncIterable<T>): Promise<T> {
  for await (const item of stream) return item;
  throw new Error("the stream has ended without an item");
}

export interface Question {
  readonly messageRequest: { readonly case: "listServices"; readonly value: string };
}

/** Asks a server for its services. */
export async function* question(): AsyncGenerator<Question> {
  yield { messageRequest: { case: "listServices", value: "" } };
}
