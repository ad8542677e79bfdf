import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { HealthCheckResponse_ServingStatus as Status } from "../../../gen/grpc/health/v1/health_pb.js";
import { startFleet, type Fleet } from "../../support/fleet.ts";
import { openSession, read, type TestSession } from "../../support/sessions.ts";
import { until } from "../../support/until.ts";
import { everyCall } from "./calls.ts";
import { clientsOf, probe, protocols } from "./clients.ts";
import { startLagMeter } from "./lag-meter.ts";
import { freeze } from "./processes.ts";

/** 2.5 s by the semantics, and room for a busy machine. */
const unavailableLimitMs = 4_000;

/** A nats-server that is gone, or there and silent; and how it comes back. */
const outages = {
  killed: {
    begin: ({ nats }: Fleet) => nats.kill("SIGKILL"),
    end: ({ nats }: Fleet) => nats.restart(),
  },
  frozen: {
    begin: ({ nats }: Fleet) => freeze(nats.pid),
    end: async ({ nats }: Fleet) => void process.kill(nats.pid, "SIGCONT"),
  },
} as const;

async function setup() {
  const fleet = await startFleet("gRPC");
  const [url = ""] = fleet.urls;
  const session = await openSession(fleet, { ready: true });
  return { fleet, url, session, [Symbol.asyncDispose]: () => fleet[Symbol.asyncDispose]() };
}

/** The call is answered `unavailable`, says when to try again, and why. Resolves with the time it took, in milliseconds. */
async function timeToUnavailable(what: string, call: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  const error = await call().then(
    (answer) => assert.fail(`${what} was answered: ${answer === undefined ? "end" : "OK"}`),
    (thrown: unknown) => ConnectError.from(thrown),
  );
  const tookMs = performance.now() - startedAt;
  assert.equal(Code[error.code], Code[Code.Unavailable], `${what}: ${error.message}`);
  assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "BROKER_UNAVAILABLE", what);
  assert.ok(error.findDetails(RetryInfoSchema)[0]?.retryDelay?.seconds, what);
  return tookMs;
}

async function route(fleet: Fleet, session: TestSession): Promise<string> {
  const [fromParty = ""] = session.parties;
  const { messageId } = await fleet.router.routeMessage({
    sessionId: session.sessionId,
    fromParty,
  });
  return messageId;
}

for (const [name, outage] of Object.entries(outages)) {
  describe(`a nats-server that is ${name}`, () => {
    it("makes every RPC answer unavailable in time, over every protocol, and come back with it", async () => {
      await using fixture = await setup();
      const { fleet, url, session } = fixture;
      const subject = { session, messageId: await route(fleet, session) };
      const calls = protocols.flatMap((protocol) =>
        Object.entries(everyCall(clientsOf(url, protocol), subject)).map(
          ([method, call]) => [`${method} by ${protocol}`, call] as const,
        ),
      );
      assert.equal(calls.length, 3 * 22);
      await outage.begin(fleet);
      using meter = startLagMeter();
      const times = await Promise.all(calls.map(([what, call]) => timeToUnavailable(what, call)));
      const [slowest = 0] = times.toSorted((a, b) => b - a);
      assert.ok(slowest - meter.lagMs() < unavailableLimitMs, `${slowest} ms, ${meter.lagMs()} ms`);
      await outage.end(fleet);
      await until("the router is ready", async () => (await probe(url, "/readyz"))[0] === 200);
      await route(fleet, session);
    });
  });

  describe(`while the nats-server is ${name}`, { concurrency: true }, () => {
    it("the probes and the health service say so, and take it back", async () => {
      await using fixture = await setup();
      const { fleet, url } = fixture;
      const { health } = clientsOf(url);
      await using watch = read((signal) => health.watch({}, { signal }));
      await watch.atLeast(1);
      await outage.begin(fleet);
      await watch.atLeast(2);
      const [status, text] = await probe(url, "/readyz");
      assert.equal(status, 503);
      assert.match(text, /^not ready: .*NATS/);
      assert.equal((await probe(url, "/livez"))[0], 200);
      assert.equal((await health.check({})).status, Status.NOT_SERVING);
      await outage.end(fleet);
      await watch.atLeast(3);
      assert.deepEqual(await probe(url, "/readyz"), [200, "ready\n"]);
      const seen = watch.items.map((item) => Status[item.status]);
      assert.deepEqual(seen, ["SERVING", "NOT_SERVING", "SERVING"]);
    });

    it("streams stay open, and bring what comes after it", async () => {
      await using fixture = await setup();
      const { fleet, session } = fixture;
      const { sessionId, parties } = session;
      const [partyId = "", reader = ""] = parties;
      await using messages = read((signal) =>
        fleet.router.subscribeMessages({ sessionId, partyId: reader }, { signal }),
      );
      await using events = read((signal) =>
        fleet.router.subscribeSessionEvents({ partyId: reader }, { signal }),
      );
      await using watch = read((signal) =>
        fleet.coordinator.watchSession({ sessionId }, { signal }),
      );
      const before = await route(fleet, session);
      await messages.atLeast(1);
      await events.atLeast(1);
      await watch.atLeast(1);

      await outage.begin(fleet);
      await assert.rejects(route(fleet, session), { code: Code.Unavailable });
      await outage.end(fleet);
      const routed = await retried(() => route(fleet, session));
      const event = { eventId: randomUUID(), eventType: "custom", sessionId };
      const published = await retried(() =>
        fleet.router.publishSessionEvent({ event: { ...event, selectedParties: [reader] } }),
      );
      await fleet.router.reportCompletion({ sessionId, partyId, publicKey: new Uint8Array(33) });

      await until("the message arrives", () =>
        messages.items.some(({ messageId }) => messageId === routed),
      );
      await until("the event arrives", () =>
        events.items.some(({ eventId }) => eventId === event.eventId),
      );
      await until("the report is seen", () => (watch.items.at(-1)?.publicKey.length ?? 0) > 0);
      assert.equal(messages.items[0]?.messageId, before);
      assert.equal(published.subscriberCount, 1);
    });

    it("who is online stays online", async () => {
      await using fixture = await setup();
      const { fleet, session } = fixture;
      const partyId = `late-${randomUUID()}`;
      await fleet.router.registerParty({ partyId, partyRole: "persistent" });
      await outage.begin(fleet);
      await assert.rejects(fleet.router.heartbeat({ partyId }), { code: Code.Unavailable });
      await outage.end(fleet);
      const { parties } = await retried(() =>
        fleet.router.getRegisteredParties({ onlyOnline: true }),
      );
      const online = parties.map((party) => party.partyId);
      assert.deepEqual(online.toSorted(), [...session.parties, partyId].toSorted());
    });

    it("a client's own deadline ends its call alone", async () => {
      await using fixture = await setup();
      const { fleet, url, session } = fixture;
      const call = { sessionId: session.sessionId, fromParty: session.parties[0] ?? "" };
      await outage.begin(fleet);
      for (const protocol of protocols) {
        const { router } = clientsOf(url, protocol);
        const routing = router.routeMessage(call, { timeoutMs: 200 });
        await assert.rejects(routing, { code: Code.DeadlineExceeded });
        const { promise: ended, resolve } = Promise.withResolvers<unknown>();
        const stream = router.subscribeMessages(
          { sessionId: session.sessionId, partyId: session.parties[1] ?? "" },
          { timeoutMs: 200 },
        );
        stream[Symbol.asyncIterator]().next().catch(resolve);
        assert.equal(ConnectError.from(await ended).code, Code.DeadlineExceeded);
      }
      await outage.end(fleet);
      await retried(() => route(fleet, session));
    });
  });
}

/** As a client does on `unavailable`. */
async function retried<T>(call: () => Promise<T>): Promise<T> {
  let answer: { readonly value: T } | undefined;
  await until("the call is answered", async () => {
    try {
      answer = { value: await call() };
    } catch (error) {
      if (ConnectError.from(error).code !== Code.Unavailable) throw error;
    }
    return answer !== undefined;
  });
  if (answer === undefined) throw new Error("no answer");
  return answer.value;
}
