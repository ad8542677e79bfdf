import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { startRouter, type RouterProcess } from "../../support/router.ts";
import { openSession, read, refuses } from "../../support/sessions.ts";
import { until } from "../../support/until.ts";
import { clientsOf, protocols } from "./clients.ts";

const method = "/mpc.router.v1.MessageRouter/RouteMessage";
const MIB = 1_048_576;

/** As a browser asks before a call; resolves with the headers it goes by. */
async function preflight(
  { url }: RouterProcess,
  origin: string,
  headers: string,
): Promise<{ readonly origin: string | null; readonly headers: readonly string[] }> {
  const answer = await fetch(`${url}${method}`, {
    method: "OPTIONS",
    headers: {
      origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": headers,
    },
  });
  return {
    origin: answer.headers.get("access-control-allow-origin"),
    headers: (answer.headers.get("access-control-allow-headers") ?? "").toLowerCase().split(", "),
  };
}

describe("the setting", () => {
  it("--max-payload of 8MiB lets such a payload through every protocol, by poll and by stream", async () => {
    await using running = await startRouter({ args: ["--max-payload=8MiB"] });
    const payload = new Uint8Array(8 * MIB).map((_, index) => index % 251);
    for (const protocol of protocols) {
      const clients = clientsOf(running.url, protocol);
      const { sessionId, parties } = await openSession(clients, { count: 2 });
      const [fromParty = "", partyId = ""] = parties;
      const { messageId } = await clients.router.routeMessage({ sessionId, fromParty, payload });
      const { messages } = await clients.router.getPendingMessages({ sessionId, partyId });
      await using stream = read((signal) =>
        clients.router.subscribeMessages({ sessionId, partyId }, { signal }),
      );
      for (const message of [messages[0], (await stream.atLeast(1))[0]]) {
        assert.equal(message?.messageId, messageId, protocol);
        assert.ok(Buffer.from(payload).equals(message?.payload ?? Buffer.of()), protocol);
      }
    }
  });

  it("--max-payload is where payloads end, to the byte", async () => {
    await using running = await startRouter({ env: { MPC_ROUTER_MAX_PAYLOAD: "2MiB" } });
    const clients = clientsOf(running.url);
    const { sessionId, parties } = await openSession(clients, { count: 2 });
    const [fromParty = ""] = parties;
    const route = (bytes: number): Promise<unknown> =>
      clients.router.routeMessage({ sessionId, fromParty, payload: new Uint8Array(bytes) });
    await route(2 * MIB);
    await refuses(route(2 * MIB + 1), Code.ResourceExhausted, "PAYLOAD_TOO_LARGE");
  });

  it("--max-refusals of 2 makes a message fail at the second", async () => {
    await using running = await startRouter({ env: { MPC_ROUTER_MAX_REFUSALS: "2" } });
    const { router } = clientsOf(running.url);
    const { sessionId, parties } = await openSession(clientsOf(running.url), { count: 2 });
    const [fromParty = "", partyId = ""] = parties;
    const { messageId } = await router.routeMessage({ sessionId, fromParty });
    await using stream = read((signal) =>
      router.subscribeMessages({ sessionId, partyId }, { signal }),
    );
    const status = async (): Promise<string | undefined> =>
      (await router.getMessageStatus({ sessionId, messageId })).deliveries[0]?.status;
    for (const [delivery, expected] of [
      [1, "delivered"],
      [2, "failed"],
    ] as const) {
      await stream.atLeast(delivery);
      await router.acknowledgeMessage({ sessionId, partyId, messageId, success: false });
      assert.equal(await status(), expected);
    }
  });

  it("--ack-wait of 200ms delivers again what is not acknowledged by then", async () => {
    await using running = await startRouter({ args: ["--ack-wait", "200ms"] });
    const { router } = clientsOf(running.url);
    const { sessionId, parties } = await openSession(clientsOf(running.url), { count: 2 });
    const [fromParty = "", partyId = ""] = parties;
    const { messageId } = await router.routeMessage({ sessionId, fromParty });
    await using stream = read((signal) =>
      router.subscribeMessages({ sessionId, partyId }, { signal }),
    );
    const deliveries = await stream.atLeast(3);
    assert.deepEqual(new Set(deliveries.map((message) => message.messageId)), new Set([messageId]));
  });

  it("--session-ttl of 1s is the life of a session that names none", async () => {
    await using running = await startRouter({ args: ["--session-ttl=1s"] });
    const clients = clientsOf(running.url);
    const brief = await openSession(clients, { count: 2 });
    const longer = await openSession(clients, { count: 2, expiresInMs: 60_000 });
    const status = async (sessionId: string): Promise<string> =>
      (await clients.router.getSessionStatus({ sessionId })).status;
    const { session } = await clients.coordinator.getSession(brief);
    assert.equal((session?.expiresAt ?? 0n) - (session?.createdAt ?? 0n), 1_000n);
    await until("it expires", async () => (await status(brief.sessionId)) === "expired");
    assert.equal(await status(longer.sessionId), "created");
  });

  it("--presence-timeout of 1s turns a party offline, but for one whose stream lives", async () => {
    await using running = await startRouter({ env: { MPC_ROUTER_PRESENCE_TIMEOUT: "1s" } });
    const { router } = clientsOf(running.url);
    for (const partyId of ["silent", "streaming"]) {
      await router.registerParty({ partyId, partyRole: "persistent" });
    }
    const { promise: opened, resolve } = Promise.withResolvers<unknown>();
    await using stream = read((signal) =>
      router.subscribeSessionEvents({ partyId: "streaming" }, { signal, onHeader: resolve }),
    );
    await opened;
    const online = async (): Promise<readonly string[]> => {
      const { parties } = await router.getRegisteredParties({ onlyOnline: true });
      return parties.map(({ partyId }) => partyId);
    };
    assert.deepEqual(await online(), ["silent", "streaming"]);
    await until("the silent party is offline", async () => !(await online()).includes("silent"));
    assert.deepEqual(await online(), ["streaming"]);
    await router.heartbeat({ partyId: "silent" });
    assert.deepEqual(await online(), ["silent", "streaming"]);
    assert.deepEqual(stream.items, []);
  });

  it("--allowed-origins decides which pages may call, by Connect and by gRPC-Web", async () => {
    const args = ["--allowed-origins=https://wallet.example,http://app.example:*"];
    await using running = await startRouter({ args });
    const own =
      "authorization,idempotency-key,prefer,last-event-id,keygen-session-id,traceparent,tracestate";
    for (const needed of [
      `content-type,connect-protocol-version,connect-timeout-ms,${own}`,
      `content-type,x-grpc-web,x-user-agent,grpc-timeout,${own}`,
    ]) {
      for (const origin of ["https://wallet.example", "http://app.example:5173"]) {
        const answer = await preflight(running, origin, needed);
        assert.equal(answer.origin, origin);
        for (const header of needed.split(",")) assert.ok(answer.headers.includes(header), header);
      }
      for (const foreign of [
        "https://evil.example",
        "http://localhost:5173",
        "https://wallet.example:8443",
        "null",
      ]) {
        assert.equal((await preflight(running, foreign, needed)).origin, null, foreign);
      }
    }
  });
});
