import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { describe, it } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { startFlakyProxy, type FlakyProxy } from "../../support/flaky-proxy.ts";
import { startTestRouter } from "../../support/fleet.ts";
import { startNatsServer } from "../../support/nats-server.ts";
import { read } from "../../support/sessions.ts";
import { until } from "../../support/until.ts";
import { clientsAt, isLong, openScene, sceneOf, type Scene, type SceneClients } from "./scene.ts";

const presenceMs = 3_000;

interface Fixture extends AsyncDisposable {
  /** Between the router and whoever comes by way of it. */
  readonly link: FlakyProxy;
  readonly clients: SceneClients;
  readonly scene: Scene;
  isOnline(partyId: string): Promise<boolean>;
  /** Consumers of the message stream, one for each message stream that a router serves. */
  consumerCount(): Promise<number>;
}

async function setup(): Promise<Fixture> {
  await using resources = new AsyncDisposableStack();
  const nats = resources.use(await startNatsServer());
  const router = resources.use(
    await startTestRouter(nats.url, [`--presence-timeout=${presenceMs}ms`]),
  );
  const link = resources.use(await startFlakyProxy(router.address.port));
  const clients = clientsAt(`http://127.0.0.1:${router.address.port}`);
  const scene = await openScene(clients);
  const connection = await connect({ servers: nats.url });
  resources.defer(() => connection.close());
  const jsm = await jetstreamManager(connection);
  const held = resources.move();
  return {
    link,
    clients,
    scene,
    async isOnline(partyId) {
      const { parties } = await clients.router.getRegisteredParties({ onlyOnline: true });
      return parties.some((party) => party.partyId === partyId);
    },
    async consumerCount() {
      return (await jsm.streams.info("MPC_MSG")).state.consumer_count;
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

const openFiles = (): number => readdirSync("/proc/self/fd").length;

describe("a client that vanishes", { concurrency: true }, () => {
  it("without closing anything is offline in time, and its mail waits", async (t) => {
    await using fixture = await setup();
    const { link, scene } = fixture;
    const { session, reader } = scene;
    const there = clientsAt(link.url);
    await using messages = sceneOf(there, session).subscribe();
    await using events = read((signal) =>
      there.router.subscribeSessionEvents({ partyId: reader }, { signal }),
    );
    await scene.routed();
    await messages.atLeast(1);
    await events.atLeast(1);
    await scene.acknowledge(scene.accepted[0] ?? "");

    link.deafen();
    const vanishedAt = performance.now();
    const since = (): number => Math.round(performance.now() - vanishedAt);
    const id = await scene.routed();
    await until("it is offline", async () => !(await fixture.isOnline(reader)), 30_000);
    t.diagnostic(`offline after ${since()} ms, with a presence time of ${presenceMs} ms`);
    await until("its stream is gone", async () => (await fixture.consumerCount()) === 0, 30_000);
    t.diagnostic(`its stream is gone after ${since()} ms`);
    assert.deepEqual(await scene.pending(), [id]);
    await using next = scene.subscribe();
    assert.equal((await next.atLeast(1))[0]?.messageId, id);
  });

  it("again and again leaves nothing behind", async (t) => {
    await using fixture = await setup();
    const { scene, link } = fixture;
    const rounds = isLong ? 50 : 8;
    const streamsAtOnce = 50;
    const accepted: string[] = [];
    const filesBefore = openFiles();
    for (let round = 0; round < rounds; round += 1) {
      const there = sceneOf(clientsAt(link.url), scene.session);
      const streams = Array.from({ length: streamsAtOnce }, () => there.subscribe());
      accepted.push(await there.routed());
      if (round % 2 === 0) link.cut("reset");
      await Promise.all(streams.map((stream) => stream[Symbol.asyncDispose]()));
      link.cut("close");
    }
    t.diagnostic(`${rounds * streamsAtOnce} streams opened and left`);
    await until("no consumer is left", async () => (await fixture.consumerCount()) === 0, 30_000);
    // Its own connections, and those that a pool keeps open for a while.
    const spare = 20;
    await until("no file is left open", () => openFiles() <= filesBefore + spare, 30_000);
    assert.deepEqual(await scene.pending(), accepted);
  });
});
