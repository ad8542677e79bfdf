import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError, createClient, type Client } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { MessageRouter } from "../../../gen/mpc/router/v1/message_router_pb.js";
import { crowded } from "../../support/crowded.ts";
import { startTestRouter } from "../../support/fleet.ts";
import { openSession } from "../../support/sessions.ts";
import { until } from "../../support/until.ts";
import { startTwoRouters, type Scene, type TwoRouters } from "./two-routers.ts";

interface Poll {
  /** Ids of what it answered. */
  readonly answer: Promise<readonly string[]>;
  /** Time it took, in milliseconds. */
  readonly tookMs: () => number;
  /** Resolves once it has waited for so long that it has surely begun to. */
  settled(): Promise<void>;
  leave(): void;
}

/** A poll that waits for mail. */
function poll(
  through: Client<typeof MessageRouter>,
  { sessionId, b: partyId }: Scene,
  seconds: number,
): Poll {
  const startedAt = performance.now();
  const leaving = new AbortController();
  let tookMs = Number.NaN;
  const answer = through
    .getPendingMessages(
      { sessionId, partyId },
      { headers: { Prefer: `wait=${seconds}` }, signal: leaving.signal },
    )
    .then(({ messages }) => messages.map(({ messageId }) => messageId))
    .finally(() => (tookMs = performance.now() - startedAt));
  return {
    answer,
    tookMs: () => tookMs,
    settled: () => until("the poll waits", () => performance.now() - startedAt > 400),
    leave: () => leaving.abort(),
  };
}

describe("a poll that waits", () => {
  let routers: TwoRouters;
  before(async () => {
    routers = await startTwoRouters();
  });
  after(() => routers[Symbol.asyncDispose]());

  it("wakes within a moment of an arrival, through either router", async () => {
    const scene = await routers.session();
    for (const through of [routers.one, routers.other]) {
      for (let round = 0; round < 5; round += 1) {
        const waiting = poll(through, scene, 20);
        if (round > 2) await waiting.settled();
        const messageId = await scene.route();
        const sentAt = performance.now();
        assert.deepEqual(await waiting.answer, [messageId]);
        assert.ok(
          performance.now() - sentAt < crowded(400),
          `after ${performance.now() - sentAt} ms`,
        );
        await scene.acknowledge(routers.one, { partyId: scene.b, messageId });
      }
    }
  });

  it("answers nothing when its time is over", async () => {
    const scene = await routers.session();
    const waiting = poll(routers.one, scene, 1);
    assert.deepEqual(await waiting.answer, []);
    assert.ok(
      waiting.tookMs() >= 950 && waiting.tookMs() < crowded(1_000),
      `${waiting.tookMs()} ms`,
    );
  });

  it("ends when its session ends", async () => {
    const scene = await routers.session();
    const { sessionId } = scene;
    const waiting = poll(routers.one, scene, 20);
    await waiting.settled();
    await routers.fleet.coordinator.cancelSession({ sessionId, reason: "enough" });
    assert.deepEqual(await waiting.answer, []);
    assert.ok(waiting.tookMs() < 3_000, `${waiting.tookMs()} ms`);
  });

  it("ends when its session's time is over", async () => {
    const scene = await routers.session({ expiresInMs: 1_200 });
    const waiting = poll(routers.other, scene, 20);
    assert.deepEqual(await waiting.answer, []);
    assert.ok(waiting.tookMs() < 3_500, `${waiting.tookMs()} ms`);
  });

  it("takes no mail with it when its caller leaves", async () => {
    const scene = await routers.session();
    const waiting = poll(routers.one, scene, 20);
    await waiting.settled();
    waiting.leave();
    const error = ConnectError.from(await waiting.answer.catch((thrown: unknown) => thrown));
    assert.equal(error.code, Code.Canceled);
    const messageId = await scene.route();
    const { deliveries } = await routers.one.getMessageStatus({
      sessionId: scene.sessionId,
      messageId,
    });
    assert.equal(deliveries[0]?.status, "pending");
  });

  it("ends when its router drains", async () => {
    await using third = await startTestRouter(routers.fleet.nats.url);
    const baseUrl = `http://127.0.0.1:${third.address.port}`;
    const through = createClient(MessageRouter, createGrpcTransport({ baseUrl }));
    const scene = await routers.session();
    const waiting = poll(through, scene, 20);
    await waiting.settled();
    const drainedAt = performance.now();
    await third[Symbol.asyncDispose]();
    assert.deepEqual(await waiting.answer, []);
    assert.ok(performance.now() - drainedAt < crowded(2_000));
  });
});

describe("a heartbeat", () => {
  it("counts what is unacknowledged in the party's live sessions", async () => {
    await using routers = await startTwoRouters();
    const { one, other, fleet } = routers;
    const session = await openSession(fleet);
    const second = await routers.session();
    const [fromParty = "", partyId = ""] = session.parties;
    const { sessionId } = session;
    const count = async (of = partyId): Promise<number> => {
      const [a, b] = await Promise.all([
        one.heartbeat({ partyId: of }),
        other.heartbeat({ partyId: of }),
      ]);
      assert.equal(a.pendingMessages, b.pendingMessages);
      return a.pendingMessages;
    };
    assert.equal(await count(), 0);
    const sent: string[] = [];
    for (let index = 0; index < 5; index += 1) {
      const call = { sessionId, fromParty, toParties: [partyId] };
      sent.push((await one.routeMessage(call)).messageId);
    }
    await second.route();
    assert.equal(await count(), 5);
    const [acknowledged = "", failed = "", refused = ""] = sent;
    await one.acknowledgeMessage({ sessionId, partyId, messageId: acknowledged, success: true });
    assert.equal(await count(), 4);
    const refusal = { sessionId, partyId, success: false };
    const errorMessage = "permanent: no";
    await other.acknowledgeMessage({ ...refusal, messageId: failed, errorMessage });
    await other.getPendingMessages({ sessionId, partyId });
    await other.acknowledgeMessage({ ...refusal, messageId: refused, errorMessage: "busy" });
    assert.equal(await count(), 3);
    assert.equal(await count(second.b), 1);
    await fleet.coordinator.cancelSession({ sessionId, reason: "enough" });
    await until("the ended session counts no more", async () => (await count()) === 0);
  });

  it("counts over several sessions of one party", async () => {
    await using routers = await startTwoRouters();
    const { one, fleet } = routers;
    const parties = ["x", "y"];
    for (const partyId of parties) {
      await one.registerParty({ partyId, partyRole: "persistent", version: "1" });
    }
    const sessionIds: string[] = [];
    for (let index = 0; index < 3; index += 1) {
      const { session, joinTokens } = await fleet.coordinator.createSession({
        sessionType: "keygen",
        thresholdN: 2,
        thresholdT: 2,
        selectedParties: parties,
      });
      const sessionId = session?.sessionId ?? "";
      sessionIds.push(sessionId);
      for (const partyId of parties) {
        await one.joinSession({ sessionId, partyId, joinToken: joinTokens[partyId] ?? "" });
      }
      for (let sent = 0; sent <= index; sent += 1) {
        await one.routeMessage({ sessionId, fromParty: "x" });
      }
    }
    assert.equal((await one.heartbeat({ partyId: "y" })).pendingMessages, 6);
    assert.equal((await one.heartbeat({ partyId: "x" })).pendingMessages, 0);
    const [, , last = ""] = sessionIds;
    await fleet.coordinator.cancelSession({ sessionId: last, reason: "enough" });
    await until(
      "the ended session counts no more",
      async () => (await one.heartbeat({ partyId: "y" })).pendingMessages === 3,
    );
  });
});
