import { createClient, type Client, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { Health } from "../../../gen/grpc/health/v1/health_pb.js";
import { SessionCoordinator } from "../../../gen/mpc/coordinator/v1/coordinator_pb.js";
import { MessageRouter } from "../../../gen/mpc/router/v1/message_router_pb.js";

/** Every service of a router, over one protocol. */
export interface Clients {
  readonly router: Client<typeof MessageRouter>;
  readonly coordinator: Client<typeof SessionCoordinator>;
  readonly health: Client<typeof Health>;
}

export const protocols = ["gRPC", "gRPC-Web", "Connect"] as const;
export type Protocol = (typeof protocols)[number];

export function clientsOf(baseUrl: string, protocol: Protocol = "gRPC"): Clients {
  const transport = transportOf(baseUrl, protocol);
  return {
    router: createClient(MessageRouter, transport),
    coordinator: createClient(SessionCoordinator, transport),
    health: createClient(Health, transport),
  };
}

function transportOf(baseUrl: string, protocol: Protocol): Transport {
  switch (protocol) {
    case "gRPC":
      return createGrpcTransport({ baseUrl });
    case "gRPC-Web":
      return createGrpcWebTransport({ baseUrl, httpVersion: "1.1" });
    case "Connect":
      return createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false });
  }
}

/** GET of a probe: its status and text; a connection that is refused counts as 0. */
export async function probe(url: string, path: string): Promise<readonly [number, string]> {
  try {
    const answer = await fetch(`${url}${path}`, { signal: AbortSignal.timeout(5_000) });
    return [answer.status, await answer.text()];
  } catch {
    return [0, ""];
  }
}
