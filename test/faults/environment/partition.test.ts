import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { findNatsServer } from "../../../src/broker/nats-binary.ts";
import { clientsOf, probe } from "../../integration/process/clients.ts";
import { mainPath } from "../../integration/process/processes.ts";
import { addressOf, createNetwork, type TestNetwork } from "../../support/network-namespace.ts";
import { until } from "../../support/until.ts";
import { assertHonest, isRefusedForNow, openScene, sceneOf, type Scene } from "./scene.ts";

/** Three machines with a nats-server each, and a router on the first two. */
interface Site extends AsyncDisposable {
  readonly network: TestNetwork;
  readonly urls: readonly [string, string];
}

const nodes = [0, 1, 2];
const routerPort = 8080;
/** 10 s are promised; elections take longer on a busy machine. */
const majorityLimitMs = 30_000;

async function openSite(): Promise<Site> {
  await using resources = new AsyncDisposableStack();
  const network = resources.use(await createNetwork(nodes.length));
  const { path } = await findNatsServer({ env: process.env, onProgress: () => undefined });
  await Promise.all(nodes.map((node) => startNode(network, node, path)));
  await until("the nodes have a leader", async () => {
    const logs = await Promise.all(nodes.map((node) => logOf(network, node)));
    return logs.some((log) => log.includes("Self is new JetStream cluster metadata leader"));
  });
  const first = await startRouterOn(network, 0);
  const second = await startRouterOn(network, 1);
  const held = resources.move();
  return { network, urls: [first, second], [Symbol.asyncDispose]: () => held.disposeAsync() };
}

async function startNode(network: TestNetwork, node: number, binaryPath: string): Promise<void> {
  const file = (name: string): string => join(network.directory, `nats-${node}${name}`);
  const others = nodes.filter((other) => other !== node);
  await writeFile(
    file(".conf"),
    `server_name: node-${node}
     listen: "0.0.0.0:4222"
     max_payload: 9437184
     log_file: "${file(".log")}"
     jetstream { store_dir: "${file("")}", sync_interval: always }
     cluster {
       name: site
       listen: "0.0.0.0:6222"
       routes: [${others.map((other) => `"nats://${addressOf(other)}:6222"`).join(", ")}]
     }`,
  );
  network.run(node, binaryPath, ["-c", file(".conf")]);
  await until("the node is ready", async () => (await logOf(network, node)).includes("is ready"));
}

async function logOf(network: TestNetwork, node: number): Promise<string> {
  return readFile(join(network.directory, `nats-${node}.log`), "utf8").catch(() => "");
}

async function startRouterOn(network: TestNetwork, node: number): Promise<string> {
  const servers = nodes.map((other) => `nats://${addressOf((node + other) % nodes.length)}:4222`);
  const router = network.run(node, process.execPath, [
    mainPath,
    `--listen=127.0.0.1:${routerPort}`,
    `--nats-url=${servers.join(",")}`,
  ]);
  let printed = "";
  router.stdout?.on("data", (chunk: Buffer) => (printed += chunk.toString()));
  router.stderr?.on("data", (chunk: Buffer) => (printed += chunk.toString()));
  await until("the router is ready", () => printed.includes("is ready on"), 30_000).catch(() =>
    assert.fail(printed),
  );
  return `http://127.0.0.1:${await network.reach(node, routerPort)}`;
}

/** Until it accepts a message, every call is refused for now, in time. */
async function timeToAccept(scene: Scene, what: string, test: TestContext): Promise<void> {
  const startedAt = performance.now();
  let refused = 0;
  await until(
    what,
    async () => {
      const outcome = await scene.route();
      assertHonest("RouteMessage", outcome);
      assert.ok(outcome.code === "OK" || isRefusedForNow(outcome), outcome.message);
      if (outcome.code !== "OK") refused += 1;
      return outcome.code === "OK";
    },
    majorityLimitMs,
  );
  const gapMs = Math.round(performance.now() - startedAt);
  test.diagnostic(`${what} after ${gapMs} ms, ${refused} calls refused in between`);
}

/** A session used by way of both routers, with one message routed by each and brought by a stream of the second. */
async function openSiteScene(site: Site) {
  const [first, second] = site.urls;
  const one = await openScene(clientsOf(first));
  const other = sceneOf(clientsOf(second), one.session);
  const stream = other.subscribe();
  await one.routed();
  await other.routed();
  await stream.atLeast(2);
  const accepted = (): readonly string[] => [...one.accepted, ...other.accepted];
  const brought = (id: string): boolean => stream.items.some((item) => item.messageId === id);
  return {
    one,
    other,
    accepted,
    /** Resolves when the stream has given what was accepted last. */
    bringsLastOf: ({ accepted: ids }: Scene) =>
      until("the stream goes on", () => brought(ids.at(-1) ?? ""), majorityLimitMs),
    bringsAll: () =>
      until("all that was accepted has come", () => accepted().every(brought), majorityLimitMs),
    [Symbol.asyncDispose]: () => stream[Symbol.asyncDispose](),
  };
}

describe("a network that falls apart", { concurrency: true }, () => {
  it("goes on with the side that has the majority, and loses nothing", async (t) => {
    await using site = await openSite();
    await using scene = await openSiteScene(site);
    const { one: minority, other: majority } = scene;
    site.network.cut(0);
    const cutAt = performance.now();
    await timeToAccept(majority, "cut off a node with its router: the majority accepts", t);
    await scene.bringsLastOf(majority);
    t.diagnostic(`and delivers after ${Math.round(performance.now() - cutAt)} ms`);
    // What was under way at the cut may still be answered; from then on nothing is.
    await until(
      "the minority knows",
      async () => (await probe(site.urls[0], "/readyz"))[0] === 503,
      20_000,
    );
    const outcomes = await Promise.all([minority.route(), minority.route(), minority.route()]);
    for (const outcome of outcomes) {
      assertHonest("RouteMessage", outcome);
      assert.ok(isRefusedForNow(outcome), outcome.code);
    }
    site.network.heal(0);
    await timeToAccept(minority, "healed: the minority accepts again", t);
    await scene.bringsAll();
  });

  it("goes on with both routers when it loses a node without one", async (t) => {
    await using site = await openSite();
    await using scene = await openSiteScene(site);
    const { one, other } = scene;
    site.network.cut(2);
    await Promise.all([
      timeToAccept(one, "cut off a node without a router: the one router accepts", t),
      timeToAccept(other, "cut off a node without a router: the other accepts", t),
    ]);
    await scene.bringsAll();
    site.network.heal(2);
    await one.routed();
    await scene.bringsAll();
    const pending = await other.pending();
    assert.deepEqual(
      scene.accepted().filter((message) => !pending.includes(message)),
      [],
    );
  });
});
