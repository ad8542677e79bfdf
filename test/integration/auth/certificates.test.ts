import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Code, createClient, type Client } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { SessionCoordinator } from "../../../gen/mpc/coordinator/v1/coordinator_pb.js";
import { MessageRouter } from "../../../gen/mpc/router/v1/message_router_pb.js";
import type { RunningRouter } from "../../../src/compose/router.ts";
import { TestAuthority, type Pair } from "../../support/certificates.ts";
import { showing, startIssuer, type TestIssuer } from "../../support/credentials.ts";
import { startTestRouter } from "../../support/fleet.ts";
import { startNatsServer } from "../../support/nats-server.ts";
import { refuses } from "../../support/sessions.ts";

const servers = new TestAuthority("Servers");
const parties = new TestAuthority("Parties");

interface Shown {
  readonly pair?: Pair;
  readonly token?: string;
}

interface Clients {
  readonly router: Client<typeof MessageRouter>;
  readonly coordinator: Client<typeof SessionCoordinator>;
}

function partyCertificate(partyId: string, ...roles: readonly string[]): Pair {
  const names = [`urn:mpc:party:${partyId}`, ...roles.map((role) => `urn:mpc:party-role:${role}`)];
  return parties.issue({ usage: "client", uris: names });
}

describe("a router that takes client certificates and tokens", () => {
  let resources: AsyncDisposableStack;
  let issuer: TestIssuer;
  let running: RunningRouter;

  before(async () => {
    resources = new AsyncDisposableStack();
    issuer = resources.use(await startIssuer());
    const nats = resources.use(await startNatsServer());
    const server = servers.issue({ usage: "server" });
    const files = { "tls-cert": server.cert, "tls-key": server.key, "tls-client-ca": parties.cert };
    const flags: string[] = [...issuer.flags];
    for (const [name, content] of Object.entries(files)) {
      const path = join(issuer.directory, name);
      await writeFile(path, content);
      flags.push(`--${name}=${path}`);
    }
    running = resources.use(await startTestRouter(nats.url, flags));
  });
  after(() => resources.disposeAsync());

  for (const protocol of ["gRPC", "Connect over HTTP/1.1"]) {
    const by = ({ pair, token }: Shown): Clients => {
      const baseUrl = `https://localhost:${running.address.port}`;
      const nodeOptions = { ca: servers.cert, ...pair };
      const interceptors = showing(token);
      const transport =
        protocol === "gRPC"
          ? createGrpcTransport({ baseUrl, nodeOptions, interceptors })
          : createConnectTransport({ baseUrl, httpVersion: "1.1", nodeOptions, interceptors });
      return {
        router: createClient(MessageRouter, transport),
        coordinator: createClient(SessionCoordinator, transport),
      };
    };

    describe(`by ${protocol}`, () => {
      it("knows a party by its certificate, and as nobody else", async () => {
        const { router, coordinator } = by({ pair: partyCertificate("alice", "persistent") });
        await router.registerParty({ partyId: "alice", partyRole: "persistent" });
        assert.equal((await router.heartbeat({ partyId: "alice" })).success, true);
        const asBob = router.heartbeat({ partyId: "bob" });
        await refuses(asBob, Code.PermissionDenied, "CALLER_MISMATCH");
        const asCoordinator = coordinator.listSessions({});
        await refuses(asCoordinator, Code.PermissionDenied, "COORDINATOR_ONLY");
      });

      it("lets a party register the roles that its certificate has, or else temporary only", async () => {
        const { router } = by({ pair: partyCertificate("carol") });
        const asDelegate = router.registerParty({ partyId: "carol", partyRole: "delegate" });
        await refuses(asDelegate, Code.PermissionDenied, "ROLE_NOT_ALLOWED");
        await router.registerParty({ partyId: "carol", partyRole: "temporary" });
      });

      it("knows the coordinator by its certificate", async () => {
        const pair = parties.issue({ usage: "client", uris: ["urn:mpc:role:coordinator"] });
        const { coordinator, router } = by({ pair });
        assert.deepEqual((await coordinator.listSessions({})).sessions, []);
        const asParty = router.heartbeat({ partyId: "alice" });
        await refuses(asParty, Code.PermissionDenied, "CALLER_MISMATCH");
      });

      it("takes a token from whoever shows no certificate, and nothing from whoever shows neither", async () => {
        const { router } = by({ token: await issuer.party("dave") });
        await router.registerParty({ partyId: "dave", partyRole: "persistent" });
        await refuses(
          by({}).router.heartbeat({ partyId: "dave" }),
          Code.Unauthenticated,
          "UNAUTHENTICATED",
        );
      });

      it("wants certificate and token to name the same caller", async () => {
        const pair = partyCertificate("erin");
        const agreeing = by({ pair, token: await issuer.party("erin") });
        await agreeing.router.registerParty({ partyId: "erin", partyRole: "temporary" });
        const other = by({ pair, token: await issuer.party("mallory") });
        for (const partyId of ["erin", "mallory"]) {
          const call = other.router.heartbeat({ partyId });
          await refuses(call, Code.Unauthenticated, "UNAUTHENTICATED");
        }
      });

      it("refuses a certificate of an authority that it does not know", async () => {
        const stranger = new TestAuthority("Strangers");
        const pair = stranger.issue({ usage: "client", uris: ["urn:mpc:party:alice"] });
        const call = by({ pair }).router.heartbeat({ partyId: "alice" });
        await refuses(call, Code.Unauthenticated, "UNAUTHENTICATED");
      });
    });
  }
});
