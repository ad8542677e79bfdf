import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { refuses } from "../../support/sessions.ts";
import { until } from "../../support/until.ts";
import { startTwoRouters, type Scene, type TwoRouters } from "./two-routers.ts";

const maxMessages = 100;
const maxBytes = 1_048_576;

/** Sends until the mailbox is full, several calls at a time and through both routers; counts what was taken. */
async function fillUp(
  { one, other }: TwoRouters,
  scene: Scene,
  { calls, atOnce, payload }: { calls: number; atOnce: number; payload?: Uint8Array },
): Promise<number> {
  let taken = 0;
  let left = calls;
  const send = async (index: number): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const through = (index + left) % 2 === 0 ? one : other;
      const call = payload === undefined ? { through } : { through, payload };
      await scene.route(call).then(
        () => (taken += 1),
        () => undefined,
      );
    }
  };
  await Promise.all(Array.from({ length: atOnce }, (_, index) => send(index)));
  return taken;
}

describe("a mailbox's limits, over two routers", () => {
  let routers: TwoRouters;
  before(async () => {
    routers = await startTwoRouters([
      `--mailbox-max-messages=${maxMessages}`,
      `--mailbox-max-bytes=${maxBytes}`,
    ]);
  });
  after(() => routers[Symbol.asyncDispose]());

  // Within a tenth or a second: calls side by side over two routers fill a mailbox in much less than a second.
  for (const [atOnce, excess] of [
    [1, 1.1],
    [8, 1.5],
    [50, 1.5],
  ] as const) {
    it(`hold the number of messages with ${atOnce} calls at a time`, async () => {
      const scene = await routers.session();
      const taken = await fillUp(routers, scene, { calls: maxMessages * 2, atOnce });
      assert.ok(taken >= maxMessages * 0.9, `${taken} were taken`);
      assert.ok(taken <= maxMessages * excess, `${taken} were taken`);
      await refuses(scene.route(), Code.ResourceExhausted, "MAILBOX_FULL");
    });
  }

  it("hold the bytes", async () => {
    const scene = await routers.session();
    const payload = new Uint8Array(32_768);
    const fitting = maxBytes / payload.length;
    const taken = await fillUp(routers, scene, { calls: fitting * 2, atOnce: 8, payload });
    assert.ok(taken >= fitting * 0.9 && taken <= fitting * 1.5, `${taken} were taken`);
    await refuses(scene.route({ payload }), Code.ResourceExhausted, "MAILBOX_FULL");
  });

  it("take more as soon as something is acknowledged", async () => {
    const scene = await routers.session();
    await fillUp(routers, scene, { calls: maxMessages + 20, atOnce: 8 });
    const { b: partyId } = scene;
    for (const { messageId } of await scene.pending(routers.one, partyId)) {
      await scene.acknowledge(routers.other, { partyId, messageId });
    }
    await until("there is room again", () =>
      scene.route().then(
        () => true,
        () => false,
      ),
    );
  });

  it("are each party's own", async () => {
    const scene = await routers.session();
    await fillUp(routers, scene, { calls: maxMessages + 20, atOnce: 8 });
    assert.match(await scene.route({ to: [scene.c] }), /^[0-9a-f]{32}$/);
    const error = await refuses(
      scene.route({ to: [scene.c, scene.b] }),
      Code.ResourceExhausted,
      "MAILBOX_FULL",
    );
    assert.match(error.rawMessage, new RegExp(scene.b));
    assert.equal((await scene.pending(routers.one, scene.c)).length, 1);
  });

  it("do not refuse the repeat of a call whose message is in the full mailbox", async () => {
    const scene = await routers.session();
    const messageId = await scene.route({ idempotencyKey: "first" });
    await fillUp(routers, scene, { calls: maxMessages + 20, atOnce: 8 });
    await until("the mailbox is full to the last", () =>
      scene.route().then(
        () => false,
        () => true,
      ),
    );
    assert.equal(await scene.route({ idempotencyKey: "first" }), messageId);
    await refuses(
      scene.route({ idempotencyKey: "first", payload: new Uint8Array([9]) }),
      Code.AlreadyExists,
      "IDEMPOTENCY_KEY_REUSED",
    );
    await refuses(
      scene.route({ idempotencyKey: "second" }),
      Code.ResourceExhausted,
      "MAILBOX_FULL",
    );
  });
});
