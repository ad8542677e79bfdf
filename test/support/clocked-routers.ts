import { createClient, type Client } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { SessionCoordinator } from "../../gen/mpc/coordinator/v1/coordinator_pb.js";
import { MessageRouter } from "../../gen/mpc/router/v1/message_router_pb.js";
import { startRouter } from "../../src/compose/router.ts";
import { readInvocation } from "../../src/config/invocation.ts";
import { silentLogger } from "../../src/telemetry/logger.ts";
import { startNatsServer } from "./nats-server.ts";

export interface ClockedRouter extends AsyncDisposable {
  readonly router: Client<typeof MessageRouter>;
  readonly coordinator: Client<typeof SessionCoordinator>;
}

/** A NATS for routers, in this process, whose clock a test can put forward. */
export interface ClockedRouters extends AsyncDisposable {
  readonly natsUrl: string;
  readonly clock: { aheadMs: number };
  /** Starts a router; its sweep begins at once, and comes every half a minute. */
  start(): Promise<ClockedRouter>;
}

export async function openClockedRouters(): Promise<ClockedRouters> {
  await using resources = new AsyncDisposableStack();
  const { url } = resources.use(await startNatsServer());
  const clock = { aheadMs: 0, nowMs: () => Date.now() + clock.aheadMs };
  const held = resources.move();
  return {
    natsUrl: url,
    clock,
    async start() {
      const args = ["--listen=127.0.0.1:0", `--nats-url=${url}`];
      const invocation = await readInvocation(args, {});
      if (invocation.kind !== "serve") throw new Error("these flags ask for no router");
      const router = await startRouter({
        ...invocation,
        clock,
        logger: silentLogger,
        env: process.env,
        onProgress: () => undefined,
        signal: new AbortController().signal,
      });
      const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${router.address.port}` });
      return {
        router: createClient(MessageRouter, transport),
        coordinator: createClient(SessionCoordinator, transport),
        [Symbol.asyncDispose]: () => router[Symbol.asyncDispose](),
      };
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}
