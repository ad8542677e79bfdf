import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createClient, ConnectError, Code } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { MessageRouter, type MPCMessage } from "../../../gen/mpc/router/v1/message_router_pb.js";
import { crowded } from "../../support/crowded.ts";
import { startFleet } from "../../support/fleet.ts";
import { startRouter } from "../../support/router.ts";
import { openSession, read } from "../../support/sessions.ts";
import { until } from "../../support/until.ts";

const ids = (messages: readonly MPCMessage[]): readonly string[] =>
  messages.map(({ messageId }) => messageId);

describe("a router that stood still while its mailbox was taken over", () => {
  it("ends its stream superseded, and gives nothing that was acknowledged meanwhile", async () => {
    await using fleet = await startFleet("gRPC");
    await using frozen = await startRouter({ args: [`--nats-url=${fleet.nats.url}`] });
    const there = createClient(MessageRouter, createGrpcTransport({ baseUrl: frozen.url }));
    const { sessionId, parties } = await openSession(fleet, { count: 2 });
    const [fromParty = "", partyId = ""] = parties;
    const route = async (): Promise<string> =>
      (await fleet.router.routeMessage({ sessionId, fromParty })).messageId;
    await using older = read((signal) =>
      there.subscribeMessages({ sessionId, partyId }, { signal }),
    );
    const first = await route();
    await older.atLeast(1);
    process.kill(frozen.pid, "SIGSTOP");
    const meanwhile = [await route(), await route(), await route()];
    await using newer = read((signal) =>
      fleet.router.subscribeMessages({ sessionId, partyId }, { signal }),
    );
    assert.deepEqual(ids(await newer.atLeast(4)), [first, ...meanwhile]);
    const acknowledgedAt = performance.now();
    for (const { messageId } of newer.items) {
      await fleet.router.acknowledgeMessage({ sessionId, partyId, messageId, success: true });
    }
    await until("it stood still for a while", () => performance.now() - acknowledgedAt > 1_500);
    process.kill(frozen.pid, "SIGCONT");
    const wokenAt = performance.now();
    const error = ConnectError.from(await older.ended);
    assert.equal(error.code, Code.Aborted);
    assert.match(error.rawMessage, /^SUPERSEDED: /);
    assert.ok(performance.now() - wokenAt < crowded(2_000));
    assert.deepEqual(ids(older.items), [first]);
    const last = await route();
    assert.deepEqual(ids(await newer.atLeast(5)).slice(4), [last]);
  });
});
