import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { retentionMs } from "../../../src/domain/sessions/session.ts";
import { subjects } from "../../../src/nats/subjects.ts";
import { openClockedRouters, type ClockedRouter } from "../../support/clocked-routers.ts";
import { join, openSession, refuses, type TestSession } from "../../support/sessions.ts";
import { countStored } from "../../support/store.ts";
import { until } from "../../support/until.ts";

/** A session of an outside coordinator, with its own tokens, which the router keeps sealed while it lives. */
async function openOutsideSession({ router }: ClockedRouter): Promise<TestSession> {
  const sessionId = randomUUID();
  const parties = ["p0", "p1", "p2"];
  for (const partyId of parties) {
    await router.registerParty({ partyId, partyRole: "persistent", version: "1" });
  }
  const tokens = Object.fromEntries(parties.map((partyId) => [partyId, `token-${partyId}`]));
  const event = {
    eventId: randomUUID(),
    eventType: "session_created",
    sessionId,
    thresholdN: 3,
    thresholdT: 2,
    selectedParties: parties,
    joinTokens: tokens,
  };
  await router.publishSessionEvent({ event });
  return { sessionId, parties, tokens };
}

/** What is stored of the session, in words. */
async function leftovers(natsUrl: string, sessionId: string): Promise<readonly string[]> {
  const places = [
    ["MPC_MSG", subjects.mailOfSession(sessionId)],
    ["MPC_ST", subjects.deliveriesOfSession(sessionId)],
    ["MPC_EVT", subjects.eventsOfSession(sessionId)],
    ["MPC_SEC", subjects.secretsOfKind("tokens")],
    ["KV_mpc_sessions", `$KV.mpc_sessions.${sessionId}`],
    ["KV_mpc_keys", `$KV.mpc_keys.${sessionId}`],
  ] as const;
  const found: string[] = [];
  for (const [stream, filter] of places) {
    if ((await countStored(natsUrl, { stream, filter })) > 0) found.push(stream);
  }
  return found;
}

/** Resolves with the first of a stream. */
function begin(stream: AsyncIterable<unknown>): Promise<unknown> {
  return stream[Symbol.asyncIterator]().next();
}

/** Every call that names the session, each as it would have been answered while the session lived. */
function callsTo(
  { router, coordinator }: ClockedRouter,
  { sessionId, parties, tokens }: TestSession,
  messageId: string,
): Readonly<Record<string, () => Promise<unknown>>> {
  const partyId = parties[1] ?? "";
  const deviceInfo = { deviceType: "server", deviceId: "d", platform: "linux", appVersion: "1" };
  const publicKey = new Uint8Array(33);
  const take = { sessionId, takeId: "take" };
  return {
    getSession: () => coordinator.getSession({ sessionId }),
    cancelSession: () => coordinator.cancelSession({ sessionId }),
    watchSession: () => begin(coordinator.watchSession({ sessionId })),
    takeDelegateShare: () => coordinator.takeDelegateShare(take),
    confirmDelegateShare: () => coordinator.confirmDelegateShare(take),
    getSessionStatus: () => router.getSessionStatus({ sessionId }),
    joinSession: () =>
      router.joinSession({ sessionId, partyId, joinToken: tokens[partyId] ?? "", deviceInfo }),
    markPartyReady: () => router.markPartyReady({ sessionId, partyId }),
    reportCompletion: () => router.reportCompletion({ sessionId, partyId, publicKey }),
    submitDelegateShare: () =>
      router.submitDelegateShare({ sessionId, partyId, publicKey, encryptedShare: publicKey }),
    routeMessage: () =>
      router.routeMessage({ sessionId, fromParty: partyId, messageType: "m", payload: publicKey }),
    subscribeMessages: () => begin(router.subscribeMessages({ sessionId, partyId })),
    getPendingMessages: () => router.getPendingMessages({ sessionId, partyId }),
    acknowledgeMessage: () =>
      router.acknowledgeMessage({ sessionId, partyId, messageId, success: true }),
    getMessageStatus: () => router.getMessageStatus({ sessionId, messageId }),
  };
}

describe("a session that ended a day ago", () => {
  it("is found by no call, and nothing of it is left once a router has swept", async () => {
    await using env = await openClockedRouters();
    await using clients = await env.start();
    const sessions = [await openOutsideSession(clients), await openSession(clients)];
    const messages = new Map<TestSession, string>();
    for (const session of sessions) {
      const { sessionId, parties } = session;
      for (const partyId of parties) await join(clients, session, partyId);
      const [fromParty = "", partyId = ""] = parties;
      const routed = { sessionId, fromParty, messageType: "m", payload: new Uint8Array(9) };
      const { messageId } = await clients.router.routeMessage(routed);
      await clients.router.acknowledgeMessage({ sessionId, partyId, messageId, success: true });
      messages.set(session, messageId);
    }
    assert.equal(
      await countStored(env.natsUrl, {
        stream: "MPC_SEC",
        filter: subjects.secretsOfKind("tokens"),
      }),
      1,
    );
    for (const { sessionId } of sessions) {
      assert.ok((await leftovers(env.natsUrl, sessionId)).length > 2);
      await clients.coordinator.cancelSession({ sessionId });
    }
    env.clock.aheadMs = retentionMs + 1_000;
    for (const session of sessions) {
      const calls = callsTo(clients, session, messages.get(session) ?? "");
      for (const call of Object.values(calls)) {
        await refuses(call(), Code.NotFound, "SESSION_NOT_FOUND");
      }
      const { sessions: listed } = await clients.coordinator.listSessions({});
      assert.deepEqual(listed, []);
    }
    await using sweeper = await env.start();
    for (const session of sessions) {
      const left = (): Promise<readonly string[]> => leftovers(env.natsUrl, session.sessionId);
      await until("nothing is left", async () => (await left()).length === 0);
      const calls = callsTo(sweeper, session, messages.get(session) ?? "");
      for (const call of Object.values(calls)) {
        await refuses(call(), Code.NotFound, "SESSION_NOT_FOUND");
      }
    }
  });
});
