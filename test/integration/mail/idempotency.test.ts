import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { MPCMessage } from "../../../gen/mpc/router/v1/message_router_pb.js";
import { streams, subjects } from "../../../src/nats/subjects.ts";
import { countStored } from "../../support/store.ts";
import { until } from "../../support/until.ts";
import { connect } from "./mail-room.ts";
import { startTwoRouters, type Scene, type TwoRouters } from "./two-routers.ts";

const ids = (messages: readonly MPCMessage[]): readonly string[] =>
  messages.map(({ messageId }) => messageId);

describe("a call with an idempotency key, on two routers", () => {
  let routers: TwoRouters;
  before(async () => {
    routers = await startTwoRouters();
  });
  after(() => routers[Symbol.asyncDispose]());

  const copies = ({ sessionId }: Scene): Promise<number> =>
    countStored(routers.fleet.nats.url, {
      stream: streams.messages,
      filter: subjects.mailOfSession(sessionId),
    });
  const deleteCopies = async ({ sessionId }: Scene): Promise<void> => {
    await using nats = await connect(routers.fleet.nats);
    const filter = subjects.mailOfSession(sessionId);
    await nats.jsm.streams.purge(streams.messages, { filter });
  };
  const settle = async (scene: Scene, partyIds: readonly string[]): Promise<void> => {
    for (const partyId of partyIds) {
      for (const { messageId } of await scene.pending(routers.one, partyId)) {
        await scene.acknowledge(routers.other, { partyId, messageId });
      }
    }
  };

  it("made on both at the same time has one id, one time and one delivery", async () => {
    const { one, other } = routers;
    const scene = await routers.session();
    await using reader = scene.subscribe(other, scene.c);
    for (let round = 0; round < 20; round += 1) {
      const idempotencyKey = `round ${round}`;
      const call = { to: [], idempotencyKey };
      const answers = await Promise.all([
        scene.route({ ...call, through: one }),
        scene.route({ ...call, through: other }),
        scene.route({ ...call, through: one }),
      ]);
      assert.equal(new Set(answers).size, 1);
    }
    const at_b = await scene.pending(one, scene.b);
    const at_c = await scene.pending(other, scene.c);
    assert.equal(at_b.length, 20);
    assert.deepEqual(ids(at_b), ids(at_c));
    assert.deepEqual(
      at_b.map(({ createdAt }) => createdAt),
      at_c.map(({ createdAt }) => createdAt),
    );
    assert.deepEqual(ids(await reader.atLeast(20)), ids(at_b));
  });

  it("whose instance died after the claim is stored for everybody by the retry", async () => {
    const scene = await routers.session();
    const call = { to: [], idempotencyKey: "claimed" };
    const messageId = await scene.route(call);
    // As if nothing but the claim had been stored. A retry comes later than the broker remembers the copies.
    await deleteCopies(scene);
    assert.equal(await copies(scene), 0);
    await using nats = await connect(routers.fleet.nats);
    await nats.jsm.streams.update(streams.messages, { duplicate_window: 100_000_000 });
    await until("the broker has forgotten the copies", async () => {
      await scene.route({ ...call, through: routers.other });
      return (await copies(scene)) === 2;
    });
    assert.deepEqual(ids(await scene.pending(routers.one, scene.b)), [messageId]);
    assert.deepEqual(ids(await scene.pending(routers.one, scene.c)), [messageId]);
  });

  it("stores nothing again after everybody acknowledged and the copies are gone", async () => {
    const scene = await routers.session();
    const call = { to: [], idempotencyKey: "settled" };
    const messageId = await scene.route(call);
    await settle(scene, [scene.b, scene.c]);
    await until("the copies are deleted", async () => (await copies(scene)) === 0);
    assert.equal(await scene.route({ ...call, through: routers.other }), messageId);
    assert.equal(await copies(scene), 0);
  });

  it("serves who had no copy yet, and not who has acknowledged", async () => {
    const scene = await routers.session();
    const call = { to: [], idempotencyKey: "partial" };
    const messageId = await scene.route(call);
    await settle(scene, [scene.b]);
    await deleteCopies(scene);
    await until("the retry is stored", async () => {
      await scene.route({ ...call, through: routers.other });
      return (await copies(scene)) === 1;
    });
    assert.deepEqual(ids(await scene.pending(routers.one, scene.b)), []);
    assert.deepEqual(ids(await scene.pending(routers.one, scene.c)), [messageId]);
  });
});

describe("created_at", () => {
  it("strictly increases for what one router stores, and is the same for all recipients", async () => {
    await using routers = await startTwoRouters();
    const scene = await routers.session();
    for (let round = 0; round < 10; round += 1) {
      await Promise.all(Array.from({ length: 20 }, () => scene.route({ to: [] })));
    }
    const times = async (partyId: string): Promise<ReadonlyMap<string, bigint>> => {
      const found = new Map<string, bigint>();
      for (;;) {
        const page = await scene.pending(routers.other, partyId);
        if (page.length === 0) return found;
        for (const { messageId, createdAt } of page) {
          found.set(messageId, createdAt);
          await scene.acknowledge(routers.other, { partyId, messageId });
        }
      }
    };
    const at_b = await times(scene.b);
    const at_c = await times(scene.c);
    assert.equal(at_b.size, 200);
    assert.deepEqual([...at_b], [...at_c]);
    const inOrder = [...at_b.values()];
    for (const [index, value] of inOrder.entries()) {
      assert.ok(index === 0 || value > (inOrder[index - 1] ?? 0n), `message ${index}`);
    }
  });

  it("goes on from what another router wrote, once that was seen", async () => {
    await using routers = await startTwoRouters();
    const scene = await routers.session();
    const idempotencyKey = "from the future";
    const messageId = await scene.route({ idempotencyKey });
    const [stored] = await scene.pending(routers.one, scene.b);
    assert.equal(stored?.messageId, messageId);
    await scene.route({ idempotencyKey, through: routers.other });
    await scene.route({ through: routers.other });
    const [, later] = await scene.pending(routers.one, scene.b);
    assert.ok(later !== undefined && later.createdAt > stored.createdAt);
  });
});
