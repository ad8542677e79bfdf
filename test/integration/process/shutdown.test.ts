import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { HealthCheckResponse_ServingStatus as Status } from "../../../gen/grpc/health/v1/health_pb.js";
import { startRouter, type RouterProcess } from "../../support/router.ts";
import { openSession, read, type Reader, type TestSession } from "../../support/sessions.ts";
import { until } from "../../support/until.ts";
import { clientsOf, probe, protocols, type Protocol } from "./clients.ts";
import { startLagMeter } from "./lag-meter.ts";
import { freeze, natsServersOn, startProcess } from "./processes.ts";

/** The limit of the semantics, in milliseconds. */
const exitLimitMs = 10_000;
/** Nothing is left to be waited for but what is under way, which gives up by then. */
const frozenExitLimitMs = 5_000;

async function setup() {
  const router = await startRouter();
  const clients = clientsOf(router.url);
  const session = await openSession(clients, { ready: true });
  return { router, clients, session, [Symbol.asyncDispose]: () => router[Symbol.asyncDispose]() };
}

interface Opened extends AsyncDisposable {
  /** By what they are, each with a first item. */
  readonly readers: Readonly<Record<string, Reader<unknown>>>;
  /** Does not settle before the router stops, or five seconds are over. */
  readonly poll: Promise<{ readonly messages: readonly unknown[] }>;
}

/** A stream of each kind, and a long poll of another party. */
async function openAll(url: string, protocol: Protocol, session: TestSession): Promise<Opened> {
  const { router, coordinator, health } = clientsOf(url, protocol);
  const { sessionId, parties } = session;
  const [fromParty = "", partyId = "", waiting = ""] = parties;
  await router.routeMessage({ sessionId, fromParty, toParties: [partyId] });
  const readers = {
    SubscribeMessages: read((signal) =>
      router.subscribeMessages({ sessionId, partyId }, { signal }),
    ),
    SubscribeSessionEvents: read((signal) =>
      router.subscribeSessionEvents({ partyId }, { signal }),
    ),
    WatchSession: read((signal) => coordinator.watchSession({ sessionId }, { signal })),
    Watch: read((signal) => health.watch({}, { signal })),
  };
  await Promise.all(Object.values(readers).map((reader) => reader.atLeast(1)));
  const poll = router.getPendingMessages(
    { sessionId, partyId: waiting },
    { headers: { Prefer: "wait=5" } },
  );
  // Rejections are looked at later.
  poll.catch(() => undefined);
  // A call that was made later is answered: so the poll is under way.
  await router.heartbeat({ partyId });
  return {
    readers,
    poll,
    async [Symbol.asyncDispose]() {
      await Promise.all(Object.values(readers).map((reader) => reader[Symbol.asyncDispose]()));
    },
  };
}

async function assertShuttingDown(what: string, { ended }: Reader<unknown>): Promise<void> {
  const error = ConnectError.from(await ended);
  assert.equal(Code[error.code], Code[Code.Unavailable], `${what}: ${error.message}`);
  assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "SHUTTING_DOWN", what);
  assert.ok(error.findDetails(RetryInfoSchema)[0]?.retryDelay, what);
}

/** Answered in full, or refused as a router that stops refuses, or as named; anything else is a cut. */
async function assertNotCut(poll: Opened["poll"], orRefused = /SHUTTING_DOWN/): Promise<void> {
  const outcome = await poll.then(
    ({ messages }) => `${messages.length} messages`,
    (error: unknown) => ConnectError.from(error).message,
  );
  if (!orRefused.test(outcome)) assert.match(outcome, /^0 messages$|SHUTTING_DOWN/);
}

async function assertGone(router: RouterProcess): Promise<void> {
  assert.deepEqual(await natsServersOn(router.dataDir), []);
  assert.match(router.output(), /"msg":"stopped"/);
  assert.doesNotMatch(router.output(), /"level":"error"|\n\s+at /);
}

for (const [signal, second] of [
  ["SIGTERM", "SIGTERM"],
  ["SIGINT", "SIGINT"],
  ["SIGTERM", "SIGINT"],
] as const) {
  describe(`a router that gets ${signal}, and then ${second}`, () => {
    it("ends streams as unavailable in every protocol, cuts no call, and exits with 0", async (test) => {
      await using fixture = await setup();
      const { router, session } = fixture;
      await using resources = new AsyncDisposableStack();
      const all: Opened[] = [];
      for (const protocol of protocols) {
        // Each of its own, for one message stream of a party supersedes another.
        const own = protocol === "gRPC" ? session : await openSession(fixture.clients);
        all.push(resources.use(await openAll(router.url, protocol, own)));
      }
      using meter = startLagMeter();
      const startedAt = performance.now();
      const exit = router.kill(signal);
      await until("it drains", () => router.output().includes('"msg":"draining"'));
      process.kill(router.pid, second);
      assert.notEqual((await probe(router.url, "/readyz"))[0], 200);
      assert.equal(await exit, 0);
      const tookMs = performance.now() - startedAt;
      test.diagnostic(`gone after ${Math.round(tookMs)} ms`);
      assert.ok(tookMs - meter.lagMs() < exitLimitMs);
      for (const { readers, poll } of all) {
        await Promise.all(
          Object.entries(readers).map(([what, reader]) => assertShuttingDown(what, reader)),
        );
        assert.deepEqual(
          readers["Watch"]?.items.map((item) => (item as { status: Status }).status),
          [Status.SERVING, Status.NOT_SERVING],
        );
        await assertNotCut(poll);
      }
      await assertGone(router);
    });
  });
}

describe("a router that is stopped", { concurrency: true }, () => {
  it("finishes what is under way, and nothing acknowledged is lost", async () => {
    await using fixture = await setup();
    const { router, clients, session } = fixture;
    const { sessionId, parties } = session;
    const [fromParty = "", partyId = ""] = parties;
    const calls = Array.from({ length: 200 }, () =>
      clients.router.routeMessage({ sessionId, fromParty, toParties: [partyId] }),
    );
    const outcomes = Promise.allSettled(calls);
    await calls[0];
    assert.equal(await router.kill("SIGTERM"), 0);
    const stored = new Set<string>();
    for (const outcome of await outcomes) {
      if (outcome.status === "fulfilled") stored.add(outcome.value.messageId);
      else assert.equal(ConnectError.from(outcome.reason).code, Code.Unavailable);
    }
    await router.restart();
    await using reader = read((signal) =>
      clientsOf(router.url).router.subscribeMessages({ sessionId, partyId }, { signal }),
    );
    await until("everything accepted is delivered", () => {
      const delivered = new Set(reader.items.map(({ messageId }) => messageId));
      return [...stored].every((messageId) => delivered.has(messageId));
    });
  });

  it("takes a nats-server with it that stands still, without waiting for it", async (test) => {
    await using fixture = await setup();
    const { router, session } = fixture;
    await using all = await openAll(router.url, "gRPC", session);
    const [server] = await natsServersOn(router.dataDir);
    assert.ok(server);
    await freeze(server.pid);
    using meter = startLagMeter();
    const startedAt = performance.now();
    assert.equal(await router.kill("SIGTERM"), 0);
    const tookMs = performance.now() - startedAt;
    test.diagnostic(`gone after ${Math.round(tookMs)} ms`);
    assert.ok(tookMs - meter.lagMs() < frozenExitLimitMs);
    await assertNotCut(all.poll, /BROKER_UNAVAILABLE/);
    await until(
      "the server is gone",
      async () => (await natsServersOn(router.dataDir)).length === 0,
    );
  });
});

describe("a router that is stopped before it is ready", () => {
  it("exits with 0, and leaves no nats-server behind", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "mpc-router-stopped-"));
    try {
      await using router = startProcess([`--data-dir=${dataDir}`]);
      await until("its nats-server runs", () => router.output().includes("nats-server is ready"));
      router.kill("SIGTERM");
      assert.equal(await router.exited, 0);
      assert.deepEqual(await natsServersOn(dataDir), []);
      assert.doesNotMatch(router.output(), /^mpc-router: |\n\s+at /m);
    } finally {
      await rm(dataDir, { recursive: true });
    }
  });

  it("exits with 0 while it connects to NATS", async () => {
    await using silent = createServer().listen(0, "127.0.0.1");
    const connected = once(silent, "connection");
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    await using router = startProcess([`--nats-url=nats://127.0.0.1:${port}`]);
    const [socket] = (await connected) as [Socket];
    router.kill("SIGINT");
    await until("it has heard", () => router.output().includes('"msg":"stopping"'));
    socket.destroy();
    assert.equal(await router.exited, 0);
    assert.doesNotMatch(router.output(), /^mpc-router: |\n\s+at /m);
  });
});
