import type { DescService } from "@bufbuild/protobuf";
import { createClient, type Client, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import {
  SessionCoordinator,
  SessionOperations,
} from "../../gen/mpc/coordinator/v1/coordinator_pb.js";
import { MessageRouter } from "../../gen/mpc/router/v1/message_router_pb.js";
import { startRouter, type RunningRouter } from "../../src/compose/router.ts";
import { readInvocation } from "../../src/config/invocation.ts";
import type { Clock } from "../../src/domain/clock.ts";
import { silentLogger } from "../../src/telemetry/logger.ts";
import { startNatsServer, type NatsTestServer } from "./nats-server.ts";

/** What whole-service tests run against: a router by each protocol, and two routers whose calls alternate at random. */
export const fleetKinds = [
  "gRPC",
  "gRPC-Web",
  "Connect JSON",
  "two routers and all protocols",
] as const;
export type FleetKind = (typeof fleetKinds)[number];

export interface Fleet extends AsyncDisposable {
  readonly router: Client<typeof MessageRouter>;
  readonly coordinator: Client<typeof SessionCoordinator>;
  readonly operations: Client<typeof SessionOperations>;
  readonly routers: readonly RunningRouter[];
  readonly nats: NatsTestServer;
  /** Base URL of each router. */
  readonly urls: readonly string[];
}

/** `flags`: settings of every router, as on the command line. */
export async function startFleet(kind: FleetKind, flags: readonly string[] = []): Promise<Fleet> {
  await using resources = new AsyncDisposableStack();
  const nats = resources.use(await startNatsServer());
  const routers: RunningRouter[] = [];
  for (let count = kind === "two routers and all protocols" ? 2 : 1; count > 0; count -= 1) {
    routers.push(resources.use(await startTestRouter(nats.url, flags)));
  }
  const urls = routers.map(({ address }) => `http://127.0.0.1:${address.port}`);
  const transports = urls.flatMap((url) => transportsOf(kind, url));
  const held = resources.move();
  return {
    router: scattered(MessageRouter, transports),
    coordinator: scattered(SessionCoordinator, transports),
    operations: scattered(SessionOperations, transports),
    routers,
    nats,
    urls,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** A router in this process on a NATS of the test. */
export async function startTestRouter(
  natsUrl: string,
  flags: readonly string[] = [],
  clock?: Clock,
): Promise<RunningRouter> {
  const args = ["--listen=127.0.0.1:0", `--nats-url=${natsUrl}`, ...flags];
  const invocation = await readInvocation(args, {});
  if (invocation.kind !== "serve") throw new Error("these flags ask for no router");
  return startRouter({
    ...invocation,
    ...(clock === undefined ? {} : { clock }),
    logger: silentLogger,
    env: process.env,
    onProgress: () => undefined,
    signal: new AbortController().signal,
  });
}

function transportsOf(kind: FleetKind, baseUrl: string): readonly Transport[] {
  const grpc = createGrpcTransport({ baseUrl });
  const web = createGrpcWebTransport({ baseUrl, httpVersion: "1.1" });
  const json = createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false });
  switch (kind) {
    case "gRPC":
      return [grpc];
    case "gRPC-Web":
      return [web];
    case "Connect JSON":
      return [json];
    case "two routers and all protocols":
      return [grpc, web, json];
  }
}

/** A client whose every call goes over one of the transports, drawn at random. */
function scattered<S extends DescService>(service: S, transports: readonly Transport[]): Client<S> {
  const draw = (): Transport => {
    const drawn = transports[Math.floor(Math.random() * transports.length)];
    if (drawn === undefined) throw new Error("a fleet needs a transport");
    return drawn;
  };
  return createClient(service, {
    unary: (...call) => draw().unary(...call),
    stream: (...call) => draw().stream(...call),
  });
}
