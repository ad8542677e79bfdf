import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import type { RunningRouter } from "../../../src/compose/router.ts";
import {
  accessByMethod,
  principals,
  type Outcome,
  type Principal,
} from "../../../src/rpc/access.ts";
import { codes } from "../../../src/rpc/errors.ts";
import { showing, startIssuer, type TestIssuer } from "../../support/credentials.ts";
import { startTestRouter } from "../../support/fleet.ts";
import { startNatsServer, type NatsTestServer } from "../../support/nats-server.ts";
import {
  clientsBy,
  namedBy,
  publicKey,
  question,
  steps,
  type Clients,
  type Scene,
} from "./matrix-calls.ts";

const protocols: Readonly<Record<string, (baseUrl: string, shown: Interceptor[]) => Transport>> = {
  gRPC: (baseUrl, interceptors) => createGrpcTransport({ baseUrl, interceptors }),
  // Over HTTP/2, since reflection talks both ways at once.
  "Connect JSON": (baseUrl, interceptors) =>
    createConnectTransport({ baseUrl, interceptors, httpVersion: "2", useBinaryFormat: false }),
};

interface Cast {
  readonly clients: Readonly<Record<Principal, Clients>>;
  readonly scene: Scene;
}

/** A session in which everybody but `self` has joined, and the clients of all principals. */
async function setup(
  issuer: TestIssuer,
  transport: (token: string | undefined) => Transport,
): Promise<Cast> {
  const prefix = randomUUID().slice(0, 8);
  const [self, other, third, stranger] = ["self", "other", "third", "stranger"].map(
    (name) => `${prefix}-${name}`,
  ) as [string, string, string, string];
  const as = async (partyId: string): Promise<Clients> =>
    clientsBy(transport(await issuer.party(partyId)));
  const clients: Record<Principal, Clients> = {
    nobody: clientsBy(transport(undefined)),
    self: await as(self),
    other: await as(other),
    stranger: await as(stranger),
    coordinator: clientsBy(transport(await issuer.coordinator())),
  };
  const thirdClients = await as(third);
  for (const [partyId, { router }] of [
    [self, clients.self],
    [other, clients.other],
    [third, thirdClients],
    [stranger, clients.stranger],
  ] as const) {
    const partyRole = partyId === self ? "delegate" : "persistent";
    await router.registerParty({ partyId, partyRole, version: "1" });
  }
  const { coordinator } = clients.coordinator;
  const shape = { sessionType: "keygen", thresholdT: 2 };
  const created = await coordinator.createSession({
    ...shape,
    thresholdN: 3,
    selectedParties: [self, other, third],
    userPublicKey: publicKey,
  });
  // Also gives the stranger an event of its own.
  const spare = await coordinator.createSession({
    ...shape,
    thresholdN: 2,
    selectedParties: [stranger, third],
  });
  const sessionId = created.session?.sessionId ?? "";
  const others = [
    [other, clients.other.router],
    [third, thirdClients.router],
  ] as const;
  for (const [partyId, router] of others) {
    await router.joinSession({ sessionId, partyId, joinToken: created.joinTokens[partyId] ?? "" });
  }
  const { messageId } = await thirdClients.router.routeMessage({
    sessionId,
    fromParty: third,
    toParties: [self],
  });
  const scene: Scene = {
    sessionId,
    self,
    third,
    stranger,
    joinToken: created.joinTokens[self] ?? "",
    received: messageId,
    sent: "",
    spareSessionId: spare.session?.sessionId ?? "",
    async othersReady() {
      for (const [partyId, router] of others) await router.markPartyReady({ sessionId, partyId });
    },
    async othersComplete() {
      for (const [partyId, router] of others) {
        await router.reportCompletion({ sessionId, partyId, publicKey });
      }
    },
  };
  return { clients, scene };
}

async function outcomeOf(call: Promise<unknown>): Promise<Outcome> {
  try {
    await call;
    return "ok";
  } catch (error) {
    const wire = ConnectError.from(error);
    const [info] = wire.findDetails(ErrorInfoSchema);
    assert.ok(info, wire.message);
    const reason = info.reason as keyof typeof codes;
    assert.equal(Code[wire.code], Code[codes[reason]], wire.message);
    return reason;
  }
}

/** So that who is refused is refused before the call has been made by those who may. */
function refusedFirst(expected: Readonly<Record<Principal, Outcome>>): readonly Principal[] {
  return principals.toSorted((a, b) => Number(expected[a] === "ok") - Number(expected[b] === "ok"));
}

describe("the table of who may call what", () => {
  let issuer: TestIssuer;
  let nats: NatsTestServer;
  let router: RunningRouter;
  before(async () => {
    issuer = await startIssuer();
    nats = await startNatsServer();
    router = await startTestRouter(nats.url, issuer.flags);
  });
  after(async () => {
    await router[Symbol.asyncDispose]();
    await nats[Symbol.asyncDispose]();
    await issuer[Symbol.asyncDispose]();
  });
  const url = (): string => `http://127.0.0.1:${router.address.port}`;

  it("has every method of every service that the router has, and so have these tests", async () => {
    const shown = showing(await issuer.coordinator());
    const { reflection } = clientsBy(createGrpcTransport({ baseUrl: url(), interceptors: shown }));
    const names: string[] = [];
    for await (const { messageResponse } of reflection.serverReflectionInfo(question())) {
      assert.equal(messageResponse.case, "listServicesResponse");
      names.push(...messageResponse.value.service.map(({ name }) => name));
    }
    const inTable = new Set([...accessByMethod.keys()].map((name) => name.split("/")[0]));
    assert.deepEqual(new Set(names), new Set(inTable));
    assert.deepEqual(Object.keys(steps).toSorted(), [...accessByMethod.keys()].toSorted());
  });

  for (const [protocol, transport] of Object.entries(protocols)) {
    it(`holds in every cell by ${protocol}`, async () => {
      const { clients, scene } = await setup(issuer, (token) => transport(url(), showing(token)));
      let cells = 0;
      for (const [method, { call, before: prepare }] of Object.entries(steps)) {
        await prepare?.(scene);
        const expected = accessByMethod.get(method) ?? assert.fail(method);
        for (const principal of refusedFirst(expected)) {
          const made = call(clients[principal], namedBy(principal, scene), scene);
          assert.equal(await outcomeOf(made), expected[principal], `${method} by ${principal}`);
          cells += 1;
        }
      }
      assert.equal(cells, accessByMethod.size * principals.length);
    });
  }

  it("lets no stranger act as a party either", async () => {
    const { clients, scene } = await setup(issuer, (token) =>
      createGrpcTransport({ baseUrl: url(), interceptors: showing(token) }),
    );
    for (const [method, { other }] of accessByMethod) {
      if (other !== "CALLER_MISMATCH") continue;
      const made = steps[method]?.call(clients.stranger, scene.self, scene);
      assert.equal(await outcomeOf(made ?? assert.fail(method)), other, method);
    }
  });
});
