import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import type { RunningRouter } from "../../../src/compose/router.ts";
import { showing, startIssuer, type TestIssuer } from "../../support/credentials.ts";
import { startTestRouter } from "../../support/fleet.ts";
import { startNatsServer } from "../../support/nats-server.ts";
import { refuses } from "../../support/sessions.ts";
import { clientsBy, type Clients } from "./matrix-calls.ts";

export type Protocol = "gRPC" | "Connect";

/** A router with authentication on, in this process. */
export interface LimitedRouter extends AsyncDisposable {
  readonly issuer: TestIssuer;
  /** On a connection of their own. */
  clients(token: string, protocol?: Protocol): Clients;
  party(partyId: string, protocol?: Protocol): Promise<Clients>;
}

export async function startLimited(flags: readonly string[]): Promise<LimitedRouter> {
  await using resources = new AsyncDisposableStack();
  const issuer = resources.use(await startIssuer());
  const nats = resources.use(await startNatsServer());
  const all = [...issuer.flags, ...flags];
  const router: RunningRouter = resources.use(await startTestRouter(nats.url, all));
  const held = resources.move();
  const clients = (token: string, protocol: Protocol = "gRPC"): Clients => {
    const options = {
      baseUrl: `http://127.0.0.1:${router.address.port}`,
      interceptors: showing(token),
    };
    return clientsBy(
      protocol === "gRPC"
        ? createGrpcTransport(options)
        : createConnectTransport({ ...options, httpVersion: "1.1" }),
    );
  };
  return {
    issuer,
    clients,
    party: async (partyId, protocol) => clients(await issuer.party(partyId), protocol),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** The call is over a limit; resolves with the milliseconds after which it is told to come again. */
export async function isOverLimit(call: Promise<unknown>, reason: string): Promise<number> {
  const error = await refuses(call, Code.ResourceExhausted, reason);
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  assert.ok(delay, "the refusal says when to come again");
  const retryAfterMs = Number(delay.seconds) * 1_000 + delay.nanos / 1e6;
  assert.ok(retryAfterMs > 0);
  return retryAfterMs;
}
