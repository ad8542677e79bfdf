import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { MPCMessage } from "../../../gen/mpc/router/v1/message_router_pb.js";
import { clientsOf, probe } from "../../integration/process/clients.ts";
import { seededRandom, startFlakyProxy, type FlakyProxy } from "../../support/flaky-proxy.ts";
import { startNatsServer } from "../../support/nats-server.ts";
import { startTestRouter } from "../../support/fleet.ts";
import type { Reader } from "../../support/sessions.ts";
import { until } from "../../support/until.ts";
import { assertHonest, isLong, isRefusedForNow, openScene, type Scene } from "./scene.ts";

interface Fixture extends AsyncDisposable {
  readonly link: FlakyProxy;
  readonly url: string;
  readonly scene: Scene;
  /** Of the one who receives, open since the beginning. */
  readonly stream: Reader<MPCMessage>;
}

/** A router that reaches its NATS over a link that a test can spoil. */
async function setup(): Promise<Fixture> {
  await using resources = new AsyncDisposableStack();
  const nats = resources.use(await startNatsServer());
  const link = resources.use(await startFlakyProxy(Number(new URL(nats.url).port)));
  const router = resources.use(await startTestRouter(`nats://127.0.0.1:${link.port}`));
  const url = `http://127.0.0.1:${router.address.port}`;
  const scene = await openScene(clientsOf(url));
  const stream = resources.use(scene.subscribe());
  await scene.routed();
  await stream.atLeast(1);
  const held = resources.move();
  return { link, url, scene, stream, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

/** Everything accepted so far comes over the stream that has been open all along, first deliveries in order. */
async function assertDelivered({ scene, stream }: Fixture): Promise<void> {
  const wanted = [...scene.accepted];
  const given = (): readonly string[] => [
    ...new Set(stream.items.map(({ messageId }) => messageId)),
  ];
  await until(
    "the stream has brought all that was accepted",
    () => wanted.every((id) => given().includes(id)),
    30_000,
  );
  assert.deepEqual(
    given().filter((id) => wanted.includes(id)),
    wanted,
  );
}

/** Until a message is accepted again every call is refused for now, in time. */
async function timeToAccept({ scene }: Fixture, what: string, test: TestContext): Promise<void> {
  const startedAt = performance.now();
  let refused = 0;
  for (;;) {
    const outcome = await scene.route();
    assertHonest("RouteMessage", outcome);
    if (outcome.code === "OK") break;
    assert.ok(isRefusedForNow(outcome), outcome.message);
    refused += 1;
    assert.ok(performance.now() - startedAt < 40_000, "accepted nothing for 40 s");
  }
  const gapMs = Math.round(performance.now() - startedAt);
  test.diagnostic(`${what}: accepted after ${gapMs} ms, ${refused} calls refused in between`);
}

describe("the link between a router and NATS", { concurrency: true }, () => {
  it("may be cut again and again", async (t) => {
    await using fixture = await setup();
    const seed = Number(process.env["FAULTS_SEED"] ?? 11);
    t.diagnostic(`seed ${seed}`);
    const random = seededRandom(seed);
    for (let cuts = 0; cuts < (isLong ? 100 : 8); cuts += 1) {
      fixture.link.cut(random() < 0.5 ? "reset" : "close");
      assertHonest("RouteMessage", await fixture.scene.route());
      if (random() < 0.3) await fixture.scene.routed();
    }
    await timeToAccept(fixture, "cut", t);
    await assertDelivered(fixture);
  });

  it("may go silent without a sign: it is noticed, and calls are refused in time meanwhile", async (t) => {
    await using fixture = await setup();
    fixture.link.deafen();
    await timeToAccept(fixture, "connection silently dead", t);
    await assertDelivered(fixture);
    await until("the router is ready", async () => {
      const [status] = await probe(fixture.url, "/readyz");
      return status === 200;
    });
  });

  for (const way of ["there", "back"] as const) {
    it(`may stall on the way ${way}`, async (t) => {
      await using fixture = await setup();
      fixture.link.stall(way);
      for (let calls = 0; calls < 2; calls += 1) {
        const outcome = await fixture.scene.route();
        assertHonest("RouteMessage", outcome);
        assert.ok(isRefusedForNow(outcome), outcome.code);
      }
      await until("it says so", async () => (await probe(fixture.url, "/readyz"))[0] === 503);
      fixture.link.resume();
      await timeToAccept(fixture, `stalled ${way}, then resumed`, t);
      await assertDelivered(fixture);
    });
  }

  it("may be slow", async () => {
    await using fixture = await setup();
    fixture.link.delay(100);
    for (let calls = 0; calls < 3; calls += 1) {
      assert.equal((await fixture.scene.route()).code, "OK");
    }
    await assertDelivered(fixture);
  });

  it("may be closed half", async (t) => {
    await using fixture = await setup();
    fixture.link.closeHalf();
    await timeToAccept(fixture, "closed half", t);
    await assertDelivered(fixture);
  });
});
