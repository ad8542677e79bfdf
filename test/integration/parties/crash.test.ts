import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { crowded } from "../../support/crowded.ts";
import { startNatsServer } from "../../support/nats-server.ts";
import { startRouter, type RouterProcess } from "../../support/router.ts";
import { until } from "../../support/until.ts";
import { routerClient, subscribe, type RouterClient } from "../events/subscribing.ts";

interface Routers extends AsyncDisposable {
  /** The one that will die. */
  readonly dying: RouterProcess;
  readonly onDying: RouterClient;
  readonly onOther: RouterClient;
}

/** Two router processes on one NATS. */
async function setup(args: readonly string[] = []): Promise<Routers> {
  await using resources = new AsyncDisposableStack();
  const { url } = resources.use(await startNatsServer());
  const start = async (): Promise<RouterProcess> =>
    resources.use(await startRouter({ args: [`--nats-url=${url}`, ...args] }));
  const [dying, other] = await Promise.all([start(), start()]);
  const held = resources.move();
  return {
    dying,
    onDying: routerClient(dying.url),
    onOther: routerClient(other.url),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** How many of the two parties listen, as a publisher is told. */
async function audience(router: RouterClient): Promise<number> {
  const event = { eventType: "custom", sessionId: "s", selectedParties: ["party-1", "party-2"] };
  return (await router.publishSessionEvent({ event })).subscriberCount;
}

async function online(router: RouterClient): Promise<readonly string[]> {
  const { parties } = await router.getRegisteredParties({ onlyOnline: true });
  return parties.map(({ partyId }) => partyId);
}

describe("parties of a router that was killed", () => {
  it("count as no audience five seconds later, until they subscribe elsewhere", async (test) => {
    await using env = await setup();
    const { dying, onDying, onOther } = env;
    for (const partyId of ["party-1", "party-2"]) {
      await onDying.registerParty({ partyId, partyRole: "persistent", version: "1" });
    }
    await using lost = await subscribe(onDying, "party-1");
    await using kept = await subscribe(onOther, "party-2");
    assert.equal(await audience(onOther), 2);
    await dying.kill("SIGKILL");
    const diedAt = performance.now();
    const isNotCounted = async (): Promise<boolean> => (await audience(onOther)) === 1;
    await until("the dead one counts no more", isNotCounted, crowded(5_500));
    test.diagnostic(`counted for ${performance.now() - diedAt} ms`);
    assert.ok(await lost.ended);
    await using again = await subscribe(onOther, "party-1");
    assert.equal(await audience(onOther), 2);
    await until("both hear it", () => again.items.length > 0 && kept.items.length > 0);
  });

  it("are offline when the presence time since their last sign of life is over", async () => {
    await using env = await setup(["--presence-timeout=3s"]);
    const { dying, onDying, onOther } = env;
    await onDying.registerParty({ partyId: "party-1", partyRole: "persistent", version: "1" });
    await using stream = await subscribe(onDying, "party-1");
    // It lives on what the connection proves, beyond the time of its registration.
    const since = performance.now();
    await until("it would be over by now", async () => {
      assert.deepEqual(await online(onOther), ["party-1"]);
      return performance.now() - since > 4_000;
    });
    await dying.kill("SIGKILL");
    assert.deepEqual(await online(onOther), ["party-1"]);
    const isOffline = async (): Promise<boolean> => (await online(onOther)).length === 0;
    await until("it is offline", isOffline, crowded(5_000));
    assert.ok(await stream.ended);
    await onOther.heartbeat({ partyId: "party-1" });
    assert.deepEqual(await online(onOther), ["party-1"]);
  });
});
