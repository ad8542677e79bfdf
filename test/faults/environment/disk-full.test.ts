import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it, type TestContext } from "node:test";
import { Code } from "@connectrpc/connect";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { mountTmpfs, type Tmpfs } from "../../support/tmpfs.ts";
import { until } from "../../support/until.ts";
import { everyCall } from "../../integration/process/calls.ts";
import { clientsOf, probe } from "../../integration/process/clients.ts";
import { startLocalRouter, type LocalRouter } from "./local-router.ts";
import {
  assertHonest,
  isRefusedForNow,
  openScene,
  outcomeOf,
  type Outcome,
  type Scene,
} from "./scene.ts";

const mib = 1_048_576;

interface Fixture extends AsyncDisposable {
  readonly disk: Tmpfs;
  readonly router: LocalRouter;
  readonly scene: Scene;
}

/** A router that keeps its data on a small disk. */
async function setup(sizeBytes: number, args: readonly string[] = []): Promise<Fixture> {
  await using resources = new AsyncDisposableStack();
  const disk = resources.use(mountTmpfs(sizeBytes));
  const router = resources.use(await startLocalRouter(`${disk.path}/data`, args));
  const scene = await openScene(clientsOf(router.url));
  const held = resources.move();
  return { disk, router, scene, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

/**
 * Every RPC at once, but for the one that would take over the mailbox: each is answered, or refused for now. Resolves
 * with the names of those that were refused.
 */
async function callAll({ router, scene }: Fixture, messageId: string): Promise<readonly string[]> {
  const { SubscribeMessages: _, ...calls } = everyCall(clientsOf(router.url), {
    ...scene,
    messageId,
  });
  const outcomes = await Promise.all(
    Object.entries(calls).map(async ([what, call]) => [what, await outcomeOf(call)] as const),
  );
  for (const [what, outcome] of outcomes) assertHonest(what, outcome);
  return outcomes.filter(([, outcome]) => isRefusedForNow(outcome)).map(([what]) => what);
}

/** Once there is space: how long until the router takes a message and says it is ready. */
async function timeToRecover({ router, scene }: Fixture, test: TestContext): Promise<void> {
  const freedAt = performance.now();
  await scene.routed();
  const routedMs = Math.round(performance.now() - freedAt);
  await until("the router is ready", () => router.isReady());
  const readyMs = Math.round(performance.now() - freedAt);
  test.diagnostic(`space back: a message accepted after ${routedMs} ms, ready after ${readyMs} ms`);
  assert.ok(routedMs < 15_000);
}

/** Somebody else stores as much as the server takes. */
async function reachLimit({ disk, router }: Fixture): Promise<void> {
  const config = await readFile(`${disk.path}/data/nats-server.conf`, "utf8");
  const [, user = "", pass = ""] = /user: "(.*?)", password: "(.*?)"/.exec(config) ?? [];
  const [, port] = /"port":(\d+)/.exec(router.log()) ?? [];
  await using connection = await connect({ port: Number(port), user, pass });
  const jsm = await jetstreamManager(connection);
  await jsm.streams.add({ name: "BALLAST", subjects: ["ballast"] });
  const js = jetstream(connection);
  const store = (): Promise<unknown> => js.publish("ballast", new Uint8Array(mib));
  await until("it is full", () =>
    store().then(
      () => false,
      () => true,
    ),
  );
}

const reads = [
  "GetRegisteredParties",
  "GetMessageStatus",
  "GetSessionStatus",
  "GetSession",
  "ListSessions",
];

describe("a message store on a small disk", { concurrency: true }, () => {
  it("lets reads go on while it is full, refuses writes in time, and costs nothing that was accepted", async (t) => {
    await using fixture = await setup(64 * mib);
    const { disk, router, scene } = fixture;
    const acknowledged = await scene.routed();
    await scene.acknowledge(acknowledged);
    const tracked = await scene.routed();
    await using stream = scene.subscribe();
    await stream.atLeast(1);

    await disk.fill();
    const filledAt = performance.now();
    const big = await Promise.all(
      [20_000, 40_000].map((size) => scene.route(new Uint8Array(size))),
    );
    assert.ok(big.every(isRefusedForNow));
    const refused = await callAll(fixture, tracked);
    assert.ok(refused.includes("RouteMessage"));
    assert.deepEqual(
      refused.filter((what) => reads.includes(what)),
      [],
    );
    await until("it says so", async () => !(await router.isReady()));
    t.diagnostic(
      `full disk: not ready after ${Math.round(performance.now() - filledAt)} ms at most`,
    );
    assert.match((await probe(router.url, "/readyz"))[1], /^not ready: the disk .* is full$/m);
    assert.equal((await probe(router.url, "/livez"))[0], 200);

    await disk.free();
    await timeToRecover(fixture, t);
    const last = await scene.routed();
    await until("the stream goes on", () => stream.items.some((item) => item.messageId === last));
    const pending = await scene.pending();
    assert.ok(!pending.includes(acknowledged));
    // An acknowledgement that was answered while the disk filled up may be lost with its unsynced record.
    await scene.assertKept(acknowledged, ...(pending.includes(tracked) ? [] : [tracked]));
  });

  it("takes writes again after its server died of the full disk", async (t) => {
    await using fixture = await setup(64 * mib);
    const { disk, router, scene } = fixture;
    await scene.routed();
    await disk.fill();
    await scene.route(new Uint8Array(20_000));
    // Its server dies on the full disk, too.
    process.kill(await router.natsPid(), "SIGKILL");
    const outcome = await scene.route();
    assertHonest("RouteMessage", outcome);
    await disk.free();
    await timeToRecover(fixture, t);
    await scene.assertKept();
  });

  it("takes no mail when it is nearly full, and takes it again once some was acknowledged", async (t) => {
    await using fixture = await setup(64 * mib);
    const { router, scene } = fixture;
    let refused: Outcome | undefined;
    await until("it takes no more", async () => {
      const outcome = await scene.route(new Uint8Array(mib));
      if (outcome.code !== "OK") refused = outcome;
      return refused !== undefined;
    });
    const fullAt = scene.accepted.length;
    assert.equal(refused?.code, Code[Code.ResourceExhausted]);
    assert.match(refused.message, /^STORE_FULL: /);
    assert.ok(isRefusedForNow(refused) && refused.tookMs < 1_000);
    assert.equal(router.log().match(/nearly full/g)?.length, 1);
    assert.equal(await router.isReady(), true);

    // Everything else goes on.
    const other = await openScene(clientsOf(router.url));
    assert.match((await other.route()).message, /^STORE_FULL: /);
    await scene.assertKept();
    const [first = "", ...rest] = scene.accepted;
    await Promise.all(rest.map((id) => scene.acknowledge(id)));
    const acknowledgedAt = performance.now();
    await scene.routed();
    const gapMs = Math.round(performance.now() - acknowledgedAt);
    t.diagnostic(`${fullAt} MiB were taken; mail is taken ${gapMs} ms after its acknowledgement`);
    assert.deepEqual(await scene.pending(), [first, scene.accepted.at(-1)]);
  });

  it("lets reads go on while its limit is reached, refuses writes in time, and goes on when the disk is larger", async (t) => {
    await using fixture = await setup(32 * mib);
    const { disk, router, scene } = fixture;
    const tracked = await scene.routed();
    // Three quarters of what was free.
    await reachLimit(fixture);
    const refused = await callAll(fixture, tracked);
    assert.ok(refused.includes("RouteMessage"));
    assert.deepEqual(
      refused.filter((what) => reads.includes(what)),
      [],
    );
    await until("it says so", async () => !(await router.isReady()));
    assert.match(
      (await probe(router.url, "/readyz"))[1],
      /^not ready: the .* has reached its limit$/m,
    );

    disk.resize(128 * mib);
    await timeToRecover(fixture, t);
    await scene.assertKept();
  });
});
