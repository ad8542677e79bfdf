import { createClient, type Client } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { MessageRouter, type MPCMessage } from "../../../gen/mpc/router/v1/message_router_pb.js";
import { startFleet, type Fleet } from "../../support/fleet.ts";
import { openSession, read, type Reader, type TestSessionOptions } from "../../support/sessions.ts";

export type RouterClient = Client<typeof MessageRouter>;

/** Two routers on one NATS, each with a client of its own. */
export interface TwoRouters extends AsyncDisposable {
  readonly fleet: Fleet;
  readonly one: RouterClient;
  readonly other: RouterClient;
  session(options?: TestSessionOptions): Promise<Scene>;
}

/** A session whose first party sends. */
export interface Scene {
  readonly sessionId: string;
  readonly a: string;
  readonly b: string;
  readonly c: string;
  /** Resolves with the message id; through the first router unless another is named. */
  route(options?: RouteOptions): Promise<string>;
  acknowledge(through: RouterClient, call: AcknowledgeCall): Promise<string>;
  pending(through: RouterClient, partyId: string): Promise<readonly MPCMessage[]>;
  subscribe(through: RouterClient, partyId: string): Reader<MPCMessage>;
}

interface RouteOptions {
  readonly through?: RouterClient;
  readonly to?: readonly string[];
  readonly payload?: Uint8Array;
  readonly idempotencyKey?: string;
}

interface AcknowledgeCall {
  readonly partyId: string;
  readonly messageId: string;
  /** Absent: processed. */
  readonly error?: string;
}

export async function startTwoRouters(flags: readonly string[] = []): Promise<TwoRouters> {
  const fleet = await startFleet("two routers and all protocols", flags);
  const clients = fleet.urls.map((baseUrl) =>
    createClient(MessageRouter, createGrpcTransport({ baseUrl })),
  );
  const [one, other] = clients;
  if (one === undefined || other === undefined) throw new Error("the fleet is too small");
  return {
    fleet,
    one,
    other,
    session: async (options) => sceneOf(await openSession(fleet, options), one),
    [Symbol.asyncDispose]: () => fleet[Symbol.asyncDispose](),
  };
}

/** `first`: the router that routes unless another is named. */
export function sceneOf(
  { sessionId, parties }: { readonly sessionId: string; readonly parties: readonly string[] },
  first: RouterClient,
): Scene {
  const [a = "", b = "", c = ""] = parties;
  return {
    sessionId,
    a,
    b,
    c,
    async route({ through = first, to = [b], payload = new Uint8Array([1]), idempotencyKey } = {}) {
      const headers = idempotencyKey === undefined ? {} : { "Idempotency-Key": idempotencyKey };
      const call = { sessionId, fromParty: a, toParties: [...to], payload };
      return (await through.routeMessage(call, { headers })).messageId;
    },
    async acknowledge(through, { partyId, messageId, error }) {
      const call = { sessionId, partyId, messageId, success: error === undefined };
      const answer = await through.acknowledgeMessage({ ...call, errorMessage: error ?? "" });
      return answer.message;
    },
    async pending(through, partyId) {
      return (await through.getPendingMessages({ sessionId, partyId })).messages;
    },
    subscribe: (through, partyId) =>
      read((signal) => through.subscribeMessages({ sessionId, partyId }, { signal })),
  };
}
