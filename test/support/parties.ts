import { randomUUID } from "node:crypto";
import { createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { SessionCoordinator } from "../../gen/mpc/coordinator/v1/coordinator_pb.js";
import {
  connectParty,
  type Party,
  type PartyOptions,
  type PartySession,
} from "../../src/party/index.ts";

export const partyProtocols = ["gRPC", "gRPC-Web", "Connect"] as const;
export type PartyProtocol = (typeof partyProtocols)[number];

export function partyTransport(
  protocol: PartyProtocol,
  baseUrl: string,
  interceptors: Interceptor[] = [],
): Transport {
  switch (protocol) {
    case "gRPC":
      return createGrpcTransport({ baseUrl, interceptors });
    case "gRPC-Web":
      return createGrpcWebTransport({ baseUrl, interceptors, httpVersion: "1.1" });
    case "Connect":
      return createConnectTransport({ baseUrl, interceptors, httpVersion: "1.1" });
  }
}

/** How a party of a test differs from the others. */
export interface PartySeat extends Partial<PartyOptions> {
  readonly url: string;
  readonly protocol?: PartyProtocol;
  readonly interceptors?: Interceptor[];
}

/** Registered parties with ids of their own; by default one over each protocol. */
export async function connectParties(seats: readonly PartySeat[]): Promise<readonly Party[]> {
  const prefix = randomUUID().slice(0, 8);
  return Promise.all(
    seats.map(async ({ url, protocol, interceptors, ...options }, index) => {
      const drawn = protocol ?? partyProtocols[index % partyProtocols.length] ?? "gRPC";
      const transport = partyTransport(drawn, url, interceptors);
      return connectParty({ transport, partyId: `${prefix}-p${index}`, ...options });
    }),
  );
}

export interface OrderedSession {
  readonly sessionId: string;
  /** By party id. */
  readonly joinTokens: Readonly<Record<string, string>>;
}

/** Orders a keygen session as a wallet's backend does. */
export async function orderSession(
  url: string,
  parties: readonly Pick<Party, "partyId">[],
  options: { readonly expiresInMs?: number } = {},
): Promise<OrderedSession> {
  const coordinator = createClient(SessionCoordinator, partyTransport("Connect", url));
  const { session, joinTokens } = await coordinator.createSession({
    sessionType: "keygen",
    thresholdN: parties.length,
    thresholdT: 2,
    selectedParties: parties.map(({ partyId }) => partyId),
    expiresInMs: BigInt(options.expiresInMs ?? 0),
  });
  return { sessionId: session?.sessionId ?? "", joinTokens };
}

export async function cancelSession(url: string, sessionId: string): Promise<void> {
  const coordinator = createClient(SessionCoordinator, partyTransport("Connect", url));
  await coordinator.cancelSession({ sessionId, reason: "test" });
}

/** All parties join a new session; with `ready` it is in progress. */
export async function joinAll(
  url: string,
  parties: readonly Party[],
  options: { readonly ready?: boolean; readonly expiresInMs?: number } = {},
): Promise<readonly PartySession[]> {
  const { sessionId, joinTokens } = await orderSession(url, parties, options);
  const joined = await Promise.all(
    parties.map((party) => party.join({ sessionId, joinToken: joinTokens[party.partyId] ?? "" })),
  );
  if (options.ready === true) await Promise.all(joined.map((session) => session.ready()));
  return joined;
}
