import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turnOfEvents } from "node:timers/promises";
import { Code, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { MessageRouter } from "../../../gen/mpc/router/v1/message_router_pb.js";
import { startTestRouter } from "../../support/fleet.ts";
import { startNatsServer } from "../../support/nats-server.ts";
import { refuses } from "../../support/sessions.ts";
import { until } from "../../support/until.ts";
import { isOverLimit, startLimited, type LimitedRouter } from "./limits-setup.ts";
import type { Clients } from "./matrix-calls.ts";

/** Of calls, so many that a test never meets the limit. */
const ampleRate = ["--rate-limit=1000000", "--rate-burst=1000000"];

/** An event stream that is read until it is closed, or has ended. */
interface EventStream {
  /** Resolves with its first event, which those of a party with a session have at once. */
  readonly opened: Promise<void>;
  readonly ended: Promise<void>;
  close(): void;
}

function openEvents(party: Clients, partyId: string): EventStream {
  const { promise: opened, resolve, reject } = Promise.withResolvers<void>();
  const stop = new AbortController();
  const { signal } = stop;
  const ended = (async () => {
    for await (const { sessionId } of party.router.subscribeSessionEvents(
      { partyId },
      { signal },
    )) {
      if (sessionId !== "") resolve();
    }
  })();
  ended.catch(reject);
  opened.catch(() => undefined);
  return { opened, ended, close: () => stop.abort() };
}

function isOpen({ opened }: EventStream): Promise<boolean> {
  return opened.then(
    () => true,
    () => false,
  );
}

async function registered(router: LimitedRouter, partyId: string): Promise<Clients> {
  const party = await router.party(partyId);
  await party.router.registerParty({ partyId, partyRole: "temporary" });
  return party;
}

describe("a party that floods", () => {
  it("is held to its rate over all its connections, and no call of another is refused", async () => {
    await using router = await startLimited(["--rate-limit=2", "--rate-burst=40"]);
    const bob = await registered(router, "bob");
    const alice = await Promise.all(
      (["gRPC", "Connect", "gRPC"] as const).map((protocol) => router.party("alice", protocol)),
    );
    await alice[0]?.router.registerParty({ partyId: "alice", partyRole: "temporary" });
    const startedAt = performance.now();
    const flood = Promise.allSettled(
      alice.flatMap(({ router: client }) =>
        Array.from({ length: 100 }, () => client.heartbeat({ partyId: "alice" })),
      ),
    );
    const others = Array.from({ length: 39 }, () => bob.router.heartbeat({ partyId: "bob" }));
    await Promise.all(others);
    const outcomes = await flood;
    const refilled = ((performance.now() - startedAt) / 1_000) * 2;
    const passed = outcomes.filter(({ status }) => status === "fulfilled").length;
    assert.ok(passed >= 39 && passed <= 40 + Math.ceil(refilled), `${passed} calls passed`);
    for (const outcome of outcomes) {
      if (outcome.status === "fulfilled") continue;
      const toldMs = await isOverLimit(Promise.reject(outcome.reason as Error), "RATE_LIMITED");
      assert.ok(toldMs <= 500, `told to wait for ${toldMs} ms`);
    }
  });

  it("is told when its next call passes, which is not before and not later", async () => {
    await using router = await startLimited(["--rate-limit=1", "--rate-burst=1"]);
    const alice = await router.party("alice");
    const register = (): Promise<unknown> =>
      alice.router.registerParty({ partyId: "alice", partyRole: "temporary" });
    const askedAt = performance.now();
    const outcomes = await Promise.allSettled(Array.from({ length: 5 }, register));
    const answeredAt = performance.now();
    const refused = outcomes.findLast(({ status }) => status === "rejected");
    assert.ok(refused?.status === "rejected", "five calls at once are too many");
    const toldMs = await isOverLimit(Promise.reject(refused.reason as Error), "RATE_LIMITED");
    await until("the next call passes", () =>
      register().then(
        () => true,
        () => false,
      ),
    );
    assert.ok(toldMs <= 1_000);
    assert.ok(performance.now() - askedAt >= toldMs - 1, "it passed earlier than it was told");
    assert.ok(performance.now() - answeredAt < toldMs + 5_000);
  });
});

describe("a connection that floods", () => {
  it("is held to its rate, which alone counts without authentication, and no other is", async () => {
    await using nats = await startNatsServer();
    const flags = ["--connection-rate-limit=5", "--rate-limit=1", "--rate-burst=1"];
    await using router = await startTestRouter(nats.url, flags);
    const baseUrl = `http://127.0.0.1:${router.address.port}`;
    const calls = (count: number): Promise<unknown>[] => {
      const client = createClient(MessageRouter, createGrpcTransport({ baseUrl }));
      const registration = { partyId: "alice", partyRole: "temporary" };
      return Array.from({ length: count }, () => client.registerParty(registration));
    };
    const outcomes = await Promise.allSettled(calls(50));
    await Promise.all(calls(5));
    const refused = outcomes.filter((outcome) => outcome.status === "rejected");
    assert.ok(refused.length > 0 && refused.length <= 45, `${refused.length} calls were refused`);
    for (const { reason } of refused) {
      const toldMs = await isOverLimit(Promise.reject(reason as Error), "RATE_LIMITED");
      assert.ok(toldMs <= 200, `told to wait for ${toldMs} ms`);
    }
  });
});

describe("the streams of a party", () => {
  for (const protocol of ["gRPC", "Connect"] as const) {
    it(`are at most as many as it may have; one that is closed makes room (${protocol})`, async () => {
      await using router = await startLimited(ampleRate);
      await withSession(router, ["alice", "bob"]);
      const [alice, bob] = await Promise.all([
        router.party("alice", protocol),
        router.party("bob", protocol),
      ]);
      const streams = Array.from({ length: 100 }, () => openEvents(alice, "alice"));
      await Promise.all(streams.map(({ opened }) => opened));
      await isOverLimit(openEvents(alice, "alice").opened, "RATE_LIMITED");
      await alice.router.heartbeat({ partyId: "alice" });
      const other = openEvents(bob, "bob");
      await other.opened;

      streams[50]?.close();
      await until("there is room for another", async () => {
        const next = openEvents(alice, "alice");
        streams.push(next);
        return isOpen(next);
      });
      await isOverLimit(openEvents(alice, "alice").opened, "RATE_LIMITED");
      for (const stream of [...streams, other]) stream.close();
    });

    it(`leave nothing behind when 1,000 of them are cut at any moment (${protocol})`, async () => {
      await using router = await startLimited([...ampleRate, "--max-streams-per-party=20"]);
      await withSession(router, ["alice", "bob"]);
      const alice = await router.party("alice", protocol);
      const open = (count: number): EventStream[] =>
        Array.from({ length: count }, () => openEvents(alice, "alice"));
      for (let round = 0; round < 100; round += 1) {
        const streams = open(10);
        // Before the call is sent, while it is on its way, or when the stream is open.
        if (round % 3 === 1) await turnOfEvents();
        if (round % 3 === 2) await Promise.all(streams.map(isOpen));
        for (const stream of streams) stream.close();
        await Promise.allSettled(streams.map(({ ended }) => ended));
      }
      await until("all may be opened again", async () => {
        const streams = open(20);
        const areOpen = await Promise.all(streams.map(isOpen));
        const outcome = areOpen.every(Boolean)
          ? await isOverLimit(openEvents(alice, "alice").opened, "RATE_LIMITED")
          : 0;
        for (const stream of streams) stream.close();
        return outcome > 0;
      });
    });
  }

  it("are counted together with its long polls", async () => {
    await using router = await startLimited(["--max-streams-per-party=2"]);
    const { sessionId } = await withSession(router, ["alice", "bob"]);
    const alice = await router.party("alice");
    const poll = (signal?: AbortSignal): Promise<unknown> =>
      alice.router.getPendingMessages(
        { sessionId, partyId: "alice" },
        { headers: { Prefer: "wait=30" }, ...(signal === undefined ? {} : { signal }) },
      );
    const stream = openEvents(alice, "alice");
    await stream.opened;
    const stop = new AbortController();
    const waiting = poll(stop.signal);
    waiting.catch(() => undefined);
    // Comes after the poll, on the same connection.
    await isOverLimit(poll(), "RATE_LIMITED");
    await alice.router.getPendingMessages({ sessionId, partyId: "alice" });
    stop.abort();
    await until("the poll has made room", async () => {
      const next = openEvents(alice, "alice");
      const hasRoom = await isOpen(next);
      next.close();
      return hasRoom;
    });
    stream.close();
  });
});

describe("what is over another limit", () => {
  it("says when to come again, but for a payload that will be too large again", async () => {
    await using router = await startLimited(["--mailbox-max-messages=1", "--max-payload=1KiB"]);
    const [fromParty, toParty] = ["alice", "bob"];
    const { sessionId } = await withSession(router, [fromParty, toParty]);
    const sender = await router.party(fromParty);
    const route = (bytes: number): Promise<unknown> =>
      sender.router.routeMessage({
        sessionId,
        fromParty,
        toParties: [toParty],
        payload: new Uint8Array(bytes),
      });
    await route(1);
    await isOverLimit(route(1), "MAILBOX_FULL");
    for (const bytes of [1_025, 1_000_000]) {
      const error = await refuses(route(bytes), Code.ResourceExhausted, "PAYLOAD_TOO_LARGE");
      assert.deepEqual(error.findDetails(RetryInfoSchema), []);
    }
    const guess = (): Promise<unknown> =>
      sender.router.joinSession({ sessionId, partyId: fromParty, joinToken: "guess" });
    for (let count = 0; count < 5; count += 1) {
      await refuses(guess(), Code.PermissionDenied, "JOIN_DENIED");
    }
    assert.equal(await isOverLimit(guess(), "TOO_MANY_JOIN_ATTEMPTS"), 60_000);
  });
});

/** A session that its parties, each with its own credential, have joined. */
async function withSession(
  router: LimitedRouter,
  selectedParties: string[],
): Promise<{ readonly sessionId: string }> {
  for (const partyId of selectedParties) await registered(router, partyId);
  const { coordinator } = router.clients(await router.issuer.coordinator());
  const { session, joinTokens } = await coordinator.createSession({
    sessionType: "keygen",
    thresholdN: selectedParties.length,
    thresholdT: 2,
    selectedParties,
  });
  const sessionId = session?.sessionId ?? "";
  for (const partyId of selectedParties) {
    const joinToken = joinTokens[partyId] ?? "";
    await (await router.party(partyId)).router.joinSession({ sessionId, partyId, joinToken });
  }
  return { sessionId };
}
