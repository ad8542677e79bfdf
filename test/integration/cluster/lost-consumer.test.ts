import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { MPCMessage } from "../../../gen/mpc/router/v1/message_router_pb.js";
import { streams } from "../../../src/nats/subjects.ts";
import type { Reader } from "../../support/sessions.ts";
import { until } from "../../support/until.ts";
import type { RouterClient, Scene } from "../mail/two-routers.ts";
import {
  acknowledgeSurely,
  consumerOf,
  idleServer,
  ids,
  routeSurely,
  startClusterRouters,
  stepDown,
  timesOf,
  type ClusterRouters,
} from "./cluster-routers.ts";

/** Measured: under a second. */
const anewWithinMs = 5_000;
/** An election takes up to 9 s. */
const electedWithinMs = 20_000;

/** A stream with one message settled and one not. */
interface OpenStream {
  readonly scene: Scene;
  readonly reader: Reader<MPCMessage>;
  readonly settled: string;
  readonly open: string;
}

async function openStream(
  routers: ClusterRouters,
  resources: AsyncDisposableStack,
): Promise<OpenStream> {
  const { one, other } = routers;
  const scene = await routers.session();
  const reader = resources.use(scene.subscribe(other, scene.b));
  const [settled, open] = [await scene.route(), await scene.route()];
  await reader.atLeast(2);
  await scene.acknowledge(one, { partyId: scene.b, messageId: settled });
  return { scene, reader, settled, open };
}

/** What comes next comes in time, and nothing that had been given comes again. */
async function goesOn(
  { scene, reader, settled, open }: OpenStream,
  limitMs: number,
): Promise<void> {
  const next = await routeSurely(scene);
  await until("the stream gives what comes", () => timesOf(reader, next) === 1, limitMs);
  assert.equal(timesOf(reader, settled), 1);
  assert.equal(timesOf(reader, open), 1);
}

/** Opens a stream until one gives something, as a party does. */
async function subscribeSurely(scene: Scene, through: RouterClient): Promise<Reader<MPCMessage>> {
  for (let tries = 0; tries < 10; tries += 1) {
    const reader = scene.subscribe(through, scene.b);
    if (await Promise.race([reader.atLeast(1).then(() => true), reader.ended.then(() => false)])) {
      return reader;
    }
  }
  throw new Error("no stream could be opened");
}

describe("a message stream on a cluster", () => {
  let routers: ClusterRouters;
  before(async () => {
    routers = await startClusterRouters();
  });
  after(() => routers[Symbol.asyncDispose]());

  it("goes on when the server with its consumer dies", async () => {
    await using resources = new AsyncDisposableStack();
    const victim = await idleServer(routers);
    const opened: OpenStream[] = [];
    const isHeld = async ({ scene }: OpenStream): Promise<boolean> =>
      (await consumerOf(routers, scene))?.node === victim;
    const holdsSome = async (): Promise<boolean> => {
      opened.push(await openStream(routers, resources));
      const held = await Promise.all(opened.map(isHeld));
      return held.filter(Boolean).length >= 2;
    };
    await until("the victim holds consumers", holdsSome, 30_000);
    await routers.cluster.kill(victim);
    await Promise.all(opened.map((stream) => goesOn(stream, anewWithinMs)));
    await routers.cluster.restart(victim);
    await Promise.all(opened.map((stream) => goesOn(stream, anewWithinMs)));
  });

  it("goes on when its consumer is deleted", async () => {
    await using resources = new AsyncDisposableStack();
    const stream = await openStream(routers, resources);
    const consumer = await consumerOf(routers, stream.scene);
    assert.ok(consumer !== undefined);
    await routers.nats.jsm.consumers.delete(streams.messages, consumer.name);
    await goesOn(stream, anewWithinMs);
  });

  it("goes on when the leader of any stream of the store steps down", async () => {
    await using resources = new AsyncDisposableStack();
    const stream = await openStream(routers, resources);
    for await (const { config } of routers.nats.jsm.streams.list()) {
      await stepDown(routers.nats, config.name);
      await goesOn(stream, anewWithinMs);
    }
  });

  it("goes on when the leader of the messages dies, and when JetStream's leader does", async () => {
    const { cluster } = routers;
    await using resources = new AsyncDisposableStack();
    const stream = await openStream(routers, resources);
    for (const leader of [() => cluster.leaderOf(streams.messages), () => cluster.metaLeader()]) {
      const victim = await leader();
      await cluster.kill(victim);
      await goesOn(stream, electedWithinMs);
      await cluster.restart(victim);
    }
    const late = await openStream(routers, resources);
    await goesOn(late, anewWithinMs);
  });

  it("loses nothing and keeps the order while the servers are restarted one after the other", async () => {
    const { cluster, one, other } = routers;
    await using resources = new AsyncDisposableStack();
    const { scene, reader } = await openStream(routers, resources);
    const givenBefore = reader.items.length;
    const restarted = new AbortController();
    const sending = (async (): Promise<readonly string[]> => {
      const sent: string[] = [];
      while (!restarted.signal.aborted) {
        const through = sent.length % 2 === 0 ? one : other;
        const messageId = await routeSurely(scene, through);
        sent.push(messageId);
        await until("it is given", () => timesOf(reader, messageId) > 0, electedWithinMs);
        await acknowledgeSurely(scene, through, messageId);
      }
      return sent;
    })();
    for (const { name } of cluster.servers) await cluster.restart(name);
    restarted.abort();
    const sent = await sending;
    const given = ids(reader.items.slice(givenBefore));
    assert.deepEqual([...new Set(given)], sent);
    assert.equal(
      reader.items.filter(({ messageId }) => sent.includes(messageId)).length,
      sent.length,
    );
  });

  it("is left for the newest one also by a router whose server stands still", async () => {
    const { cluster, other } = routers;
    await using resources = new AsyncDisposableStack();
    const scene = await routers.session();
    const older = resources.use(scene.subscribe(other, scene.b));
    const first = await scene.route();
    await older.atLeast(1);
    const stopped = await idleServer(routers);
    cluster.pause(stopped);
    try {
      const newer = resources.use(await subscribeSurely(scene, routers.one));
      assert.match(String(await older.ended), /SUPERSEDED/);
      const second = await routeSurely(scene);
      assert.deepEqual(ids(await newer.atLeast(2)), [first, second]);
    } finally {
      cluster.resume(stopped);
    }
  });
});
