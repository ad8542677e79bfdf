import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { PersistMode } from "@nats-io/jetstream";
import { streams } from "../../../src/nats/subjects.ts";
import { startTestRouter } from "../../support/fleet.ts";
import { refuses } from "../../support/sessions.ts";
import { ids, startClusterRouters, type ClusterRouters } from "./cluster-routers.ts";

describe("two routers on a cluster of three", () => {
  let routers: ClusterRouters;
  before(async () => {
    routers = await startClusterRouters(["--ack-wait=2s"]);
  });
  after(() => routers[Symbol.asyncDispose]());

  it("keep everything three times, and no record unsynced", async () => {
    for await (const { config } of routers.nats.jsm.streams.list()) {
      assert.equal(config.num_replicas, 3, config.name);
      assert.notEqual(config.persist_mode, PersistMode.Async, config.name);
    }
  });

  it("give what one routes on a stream of the other, in order, live and from before", async () => {
    const { one, other } = routers;
    const scene = await routers.session();
    const sent: string[] = [];
    for (let index = 0; index < 20; index += 1) {
      sent.push(await scene.route({ through: index % 2 === 0 ? one : other }));
    }
    await using reader = scene.subscribe(other, scene.b);
    await reader.atLeast(20);
    for (let index = 0; index < 20; index += 1) {
      sent.push(await scene.route({ through: index % 2 === 0 ? one : other }));
    }
    assert.deepEqual(ids(await reader.atLeast(40)), sent);
  });

  it("see at once through one what was done through the other", async () => {
    const { one, other } = routers;
    const scene = await routers.session();
    for (let round = 0; round < 30; round += 1) {
      const messageId = await scene.route({ through: one });
      assert.deepEqual(ids(await scene.pending(other, scene.b)), [messageId], `round ${round}`);
      await scene.acknowledge(one, { partyId: scene.b, messageId });
      assert.deepEqual(ids(await scene.pending(other, scene.b)), [], `round ${round}`);
      const call = { messageId, sessionId: scene.sessionId };
      const status = await other.getMessageStatus(call);
      assert.equal(status.allAcknowledged, true, `round ${round}`);
    }
  });

  it("deliver again what is refused or left unacknowledged, and nothing that is settled", async () => {
    const { one, other } = routers;
    const scene = await routers.session();
    await using reader = scene.subscribe(one, scene.b);
    const [settled, refused, left] = [
      await scene.route({ through: other }),
      await scene.route({ through: other }),
      await scene.route({ through: other }),
    ];
    await reader.atLeast(3);
    await scene.acknowledge(other, { partyId: scene.b, messageId: settled });
    await scene.acknowledge(other, { partyId: scene.b, messageId: refused, error: "busy" });
    const again = (await reader.atLeast(5)).slice(3);
    assert.deepEqual(ids(again).toSorted(), [refused, left].toSorted());
    const call = { messageId: refused, sessionId: scene.sessionId };
    const { deliveries } = await one.getMessageStatus(call);
    assert.equal(deliveries[0]?.retryCount, 1);
  });

  it("count at once what one party has not acknowledged, of a few messages and of many", async () => {
    const { one, other } = routers;
    const scene = await routers.session();
    const isCounted = async (count: number): Promise<void> => {
      for (const through of [one, other]) {
        const beat = await through.heartbeat({ partyId: scene.b });
        assert.equal(beat.pendingMessages, count);
      }
    };
    for (const batch of [5, 15]) {
      const sent: string[] = [];
      while (sent.length < batch) sent.push(await scene.route({ through: one }));
      const [first = "", second = "", ...rest] = sent;
      await scene.acknowledge(other, { partyId: scene.b, messageId: first });
      await scene.acknowledge(other, { partyId: scene.b, messageId: second, error: "busy" });
      await isCounted(batch - 1);
      for (const messageId of [second, ...rest]) {
        await scene.acknowledge(one, { partyId: scene.b, messageId });
      }
      await isCounted(0);
    }
  });

  it("take a retried call once, and tell another content apart", async () => {
    const { one, other } = routers;
    const scene = await routers.session();
    const idempotencyKey = crypto.randomUUID();
    const first = await scene.route({ through: one, idempotencyKey });
    assert.equal(await scene.route({ through: other, idempotencyKey }), first);
    const changed = scene.route({ through: other, idempotencyKey, payload: new Uint8Array([2]) });
    await refuses(changed, Code.AlreadyExists, "IDEMPOTENCY_KEY_REUSED");
    assert.deepEqual(ids(await scene.pending(other, scene.b)), [first]);
  });

  it("leave a mailbox to the newest stream", async () => {
    const { one, other } = routers;
    const scene = await routers.session();
    await using older = scene.subscribe(one, scene.b);
    const first = await scene.route();
    await older.atLeast(1);
    await using newer = scene.subscribe(other, scene.b);
    assert.match(String(await older.ended), /SUPERSEDED/);
    const second = await scene.route();
    assert.deepEqual(ids(await newer.atLeast(2)), [first, second]);
    assert.deepEqual(ids(older.items), [first]);
  });

  it("are joined by a third while one of the servers is away", async () => {
    const { cluster, nats } = routers;
    const away = (await cluster.followersOf(streams.messages)).at(0) ?? "";
    await cluster.kill(away);
    await using third = await startTestRouter(cluster.url);
    assert.ok(third.address.port > 0);
    await cluster.restart(away);
    assert.equal(nats.isClustered, true);
  });
});
