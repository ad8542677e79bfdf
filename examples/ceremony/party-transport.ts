import type { Interceptor, Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import type { Protocol } from "./party-messages.ts";

/** HTTP/2 asks whether the other end is still there. HTTP/1.1 has no such question. */
const pings = { pingIntervalMs: 5_000, pingTimeoutMs: 5_000 } as const;

export function createPartyTransport(
  url: string,
  protocol: Protocol,
  interceptors: Interceptor[],
): Transport {
  const options = { baseUrl: url, interceptors };
  switch (protocol) {
    case "grpc":
      return createGrpcTransport({ ...options, ...pings });
    case "grpc-web":
      return createGrpcWebTransport({ ...options, httpVersion: "1.1" });
    case "connect-json":
      return createConnectTransport({ ...options, httpVersion: "1.1", useBinaryFormat: false });
  }
}
