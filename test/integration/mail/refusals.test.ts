import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { crowded } from "../../support/crowded.ts";
import { read, refuses } from "../../support/sessions.ts";
import { until } from "../../support/until.ts";
import { connect, leaveCopy, leaveRecord, messageTo } from "./mail-room.ts";
import { startTwoRouters, type Scene, type TwoRouters } from "./two-routers.ts";

describe("refusals, over two routers", () => {
  let routers: TwoRouters;
  before(async () => {
    routers = await startTwoRouters(["--ack-wait=20s"]);
  });
  after(() => routers[Symbol.asyncDispose]());

  const rowOf = async ({ sessionId }: Scene, messageId: string) => {
    const { deliveries } = await routers.one.getMessageStatus({ sessionId, messageId });
    const [row] = deliveries;
    assert.ok(row !== undefined);
    return row;
  };

  for (const on of ["the router of the stream", "another router"] as const) {
    it(`taken by ${on} bring the message again after about a second, then two`, async () => {
      const { one, other } = routers;
      const taker = on === "another router" ? other : one;
      const scene = await routers.session();
      const { b: partyId } = scene;
      await using reader = scene.subscribe(one, partyId);
      const messageId = await scene.route();
      for (const [index, [least, most]] of [
        [900, crowded(1_000)],
        [1_900, crowded(2_000)],
      ].entries()) {
        await reader.atLeast(index + 1);
        const refusedAt = performance.now();
        assert.equal(
          await scene.acknowledge(taker, { partyId, messageId, error: "busy" }),
          "refused",
        );
        await reader.atLeast(index + 2);
        const afterMs = performance.now() - refusedAt;
        assert.ok(afterMs >= (least ?? 0) && afterMs <= (most ?? 0), `after ${afterMs} ms`);
      }
      // The record of a delivery may be a moment later than the delivery.
      await until(
        "both redeliveries are counted",
        async () => (await rowOf(scene, messageId)).retryCount === 2,
        crowded(1_000),
      );
    });
  }

  it("leave the message to polls meanwhile, each of which is a delivery of its own", async () => {
    const { one, other } = routers;
    const scene = await routers.session();
    const { b: partyId } = scene;
    const messageId = await scene.route();
    for (let refusal = 1; refusal <= 3; refusal += 1) {
      const [polled] = await scene.pending(refusal % 2 === 0 ? one : other, partyId);
      assert.equal(polled?.messageId, messageId);
      await scene.acknowledge(other, { partyId, messageId, error: "busy" });
      assert.equal((await rowOf(scene, messageId)).retryCount, refusal - 1);
    }
  });

  it("of one delivery count once, also when both routers take them at the same moment", async () => {
    const { one, other } = routers;
    const scene = await routers.session();
    const { b: partyId } = scene;
    const messageId = await scene.route();
    for (let delivery = 1; delivery <= 4; delivery += 1) {
      assert.equal((await scene.pending(one, partyId)).length, 1, `before refusal ${delivery}`);
      const call = { partyId, messageId, error: "busy" };
      const outcomes = await Promise.all(
        [one, other, one, other].map((through) => scene.acknowledge(through, call)),
      );
      assert.ok(outcomes.every((outcome) => outcome === "refused"));
    }
    assert.equal((await rowOf(scene, messageId)).status, "delivered");
    await scene.pending(other, partyId);
    const call = { partyId, messageId, error: "busy" };
    const outcomes = await Promise.all([
      scene.acknowledge(one, call),
      scene.acknowledge(other, call),
    ]);
    assert.ok(outcomes.includes("failed"), outcomes.join());
    assert.equal((await rowOf(scene, messageId)).status, "failed");
    assert.deepEqual(await scene.pending(one, partyId), []);
  });

  it("do not make a recipient whose copy is not there yet a stranger", async () => {
    const scene = await routers.session();
    await using nats = await connect(routers.fleet.nats);
    const message = messageTo(scene.sessionId, [], {
      fromParty: scene.a,
      recipients: [
        { partyId: scene.b, position: 1 },
        { partyId: scene.c, position: 2 },
      ],
    });
    const { messageId } = message;
    await leaveCopy(nats, message, scene.c);
    assert.equal(
      await scene.acknowledge(routers.one, { partyId: scene.b, messageId }),
      "acknowledged",
    );
    await refuses(
      scene.acknowledge(routers.one, { partyId: scene.a, messageId }),
      Code.PermissionDenied,
      "NOT_A_RECIPIENT",
    );
  });

  it("that are final tell the sender, although the instance that took them died", async () => {
    const scene = await routers.session();
    const { b: partyId, sessionId } = scene;
    const messageId = await scene.route();
    await scene.pending(routers.one, partyId);
    await using nats = await connect(routers.fleet.nats);
    const recipients = [{ partyId, position: 1 }];
    const failed = messageTo(sessionId, [], { fromParty: scene.a, messageId, recipients });
    await leaveRecord(nats, failed, { partyId, state: "fail" });
    // Whoever settles the copy tells of it first.
    await scene.acknowledge(routers.other, { partyId, messageId });
    await using events = read((signal) =>
      routers.one.subscribeSessionEvents(
        { partyId: scene.a, eventTypes: ["message_failed"] },
        { signal },
      ),
    );
    const [event] = await events.atLeast(1);
    assert.equal(event?.sessionId, sessionId);
    assert.match(event.eventId, new RegExp(`-message_failed-${messageId}-1$`));
  });
});
