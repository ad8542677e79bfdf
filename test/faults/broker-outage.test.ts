import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError, createClient, type Client } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-node";
import { RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { SessionCoordinator } from "../../gen/mpc/coordinator/v1/coordinator_pb.js";
import { MessageRouter } from "../../gen/mpc/router/v1/message_router_pb.js";
import { startNatsServer } from "../support/nats-server.ts";
import { startRouter } from "../support/router.ts";
import { openSession, read } from "../support/sessions.ts";
import { until } from "../support/until.ts";
import { allowed, reportFigure, roundsOf } from "./settings.ts";

/** Within which a caller hears that the broker is away. */
const answerMs = 3_000;

/** Within which everything works after the broker's return. */
const recoveryMs = 5_000;

/** Time for each caller to be told at least once. */
const awayMs = 8_000;

/** What a call came to, in milliseconds of this process. */
interface Call {
  readonly name: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly error: ConnectError | undefined;
  readonly messageId: string;
}

type Act = () => Promise<{ readonly messageId?: string }>;

/** Calls one after the other until the signal fires. */
async function callUntil(
  calls: Call[],
  { name, act }: { readonly name: string; readonly act: Act },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const startMs = performance.now();
    let error: ConnectError | undefined;
    let messageId = "";
    try {
      messageId = (await act()).messageId ?? "";
    } catch (thrown) {
      error = ConnectError.from(thrown);
    }
    calls.push({ name, startMs, endMs: performance.now(), error, messageId });
    await sleep(20);
  }
}

function actsOf(
  router: Client<typeof MessageRouter>,
  box: {
    readonly sessionId: string;
    readonly from: string;
    readonly to: string;
    readonly messageId: string;
  },
): Readonly<Record<string, Act>> {
  const { sessionId, from, to, messageId } = box;
  const route = { sessionId, fromParty: from, toParties: [to], payload: new Uint8Array(64) };
  return {
    RouteMessage: () => router.routeMessage(route),
    "RouteMessage with a key": () =>
      router.routeMessage(route, { headers: { "idempotency-key": crypto.randomUUID() } }),
    GetPendingMessages: async () => {
      await router.getPendingMessages({ sessionId, partyId: to });
      return {};
    },
    AcknowledgeMessage: async () => {
      await router.acknowledgeMessage({ sessionId, partyId: to, messageId, success: true });
      return {};
    },
    GetMessageStatus: async () => {
      await router.getMessageStatus({ sessionId, messageId });
      return {};
    },
    RegisterParty: async () => {
      await router.registerParty({ partyId: from, partyRole: "persistent" });
      return {};
    },
  };
}

describe("a nats-server that is killed under load", () => {
  for (let round = 1; round <= roundsOf({ short: 1, long: 5 }); round += 1) {
    it(`is told to callers in time, and forgotten soon after its return (${round})`, async () => {
      await using nats = await startNatsServer();
      await using running = await startRouter({ args: [`--nats-url=${nats.url}`] });
      const transport = createGrpcWebTransport({ baseUrl: running.url, httpVersion: "1.1" });
      const router = createClient(MessageRouter, transport);
      const coordinator = createClient(SessionCoordinator, transport);
      const { sessionId, parties } = await openSession({ router, coordinator }, { count: 2 });
      const [from = "", to = ""] = parties;
      const { messageId } = await router.routeMessage({ sessionId, fromParty: from });
      await using reader = read((signal) =>
        router.subscribeMessages({ sessionId, partyId: to }, { signal }),
      );
      await reader.atLeast(1);

      const calls: Call[] = [];
      const stopping = new AbortController();
      const loads = Object.entries(actsOf(router, { sessionId, from, to, messageId })).map(
        ([name, act]) => callUntil(calls, { name, act }, stopping.signal),
      );
      await until("all is well", () => reader.items.length > 20);
      await nats.kill("SIGKILL");
      const goneMs = performance.now();
      await sleep(awayMs);
      const returnMs = performance.now();
      await nats.restart();
      const backMs = performance.now();
      const deliveredBefore = reader.items.length;
      const isWell = (name: string): boolean =>
        calls.some(
          (call) => call.name === name && call.startMs > backMs && call.error === undefined,
        );
      const names = [...new Set(calls.map(({ name }) => name))];
      await until("every call is answered again", () => names.every(isWell), 30_000);
      const answeredMs = performance.now() - backMs;
      await until("mail is delivered again", () => reader.items.length > deliveredBefore, 30_000);
      const deliveredMs = performance.now() - backMs;
      stopping.abort();
      await Promise.all(loads);

      const during = calls.filter(
        ({ startMs }) => startMs > goneMs && startMs < returnMs - answerMs,
      );
      assert.ok(during.length >= names.length, "there were calls while it was away");
      for (const call of during) requireUnavailable(call, returnMs);
      const slowest = Math.max(...calls.map(({ startMs, endMs }) => endMs - startMs));
      assert.ok(slowest <= allowed(answerMs), `an answer took ${slowest} ms`);
      assert.ok(answeredMs <= allowed(recoveryMs), `calls were answered after ${answeredMs} ms`);
      assert.ok(deliveredMs <= allowed(recoveryMs), `mail was delivered after ${deliveredMs} ms`);
      const accepted = calls.map((call) => call.messageId).filter((id) => id !== "");
      await until("every accepted message is delivered", () => {
        const ids = new Set(reader.items.map((item) => item.messageId));
        return accepted.every((id) => ids.has(id));
      });
      reportFigure({
        what: "nats-server killed under load",
        value:
          `unavailable with RetryInfo after at most ${Math.round(slowest)} ms; calls ` +
          `${Math.round(answeredMs)} ms and deliveries ${Math.round(deliveredMs)} ms after its return`,
        bar: "3 s, 5 s",
      });
    });
  }
});

/** No success while the broker is away, and never another error than the one that says so. */
function requireUnavailable({ name, error, endMs }: Call, returnMs: number): void {
  if (error === undefined) {
    assert.ok(endMs >= returnMs, `${name} was answered OK without a broker`);
    return;
  }
  assert.equal(Code[error.code], "Unavailable", `${name}: ${error.message}`);
  assert.equal(error.findDetails(RetryInfoSchema).length, 1, `${name}: ${error.message}`);
}
