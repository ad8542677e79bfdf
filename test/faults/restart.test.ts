import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-node";
import { SessionCoordinator } from "../../gen/mpc/coordinator/v1/coordinator_pb.js";
import { MessageRouter } from "../../gen/mpc/router/v1/message_router_pb.js";
import { startRouter } from "../support/router.ts";
import { openSession } from "../support/sessions.ts";

describe("a restart", () => {
  it("keeps registrations, sessions and mail", async () => {
    await using running = await startRouter();
    const transport = createGrpcWebTransport({ baseUrl: running.url, httpVersion: "1.1" });
    const router = createClient(MessageRouter, transport);
    const coordinator = createClient(SessionCoordinator, transport);
    const { sessionId, parties } = await openSession({ router, coordinator }, { count: 2 });
    const [fromParty = "", partyId = ""] = parties;
    const { messageId } = await router.routeMessage({ sessionId, fromParty });
    assert.equal(await running.kill("SIGTERM"), 0);
    await running.restart();
    const registered = await router.getRegisteredParties({});
    assert.deepEqual(
      registered.parties.map((party) => party.partyId),
      parties,
    );
    const { session } = await coordinator.getSession({ sessionId });
    assert.equal(session?.status, "created");
    const { messages } = await router.getPendingMessages({ sessionId, partyId });
    assert.deepEqual(
      messages.map((message) => message.messageId),
      [messageId],
    );
  });
});
