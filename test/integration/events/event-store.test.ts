import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { EventStore, StoredEvent } from "../../../src/domain/events/event-ports.ts";
import type { SessionEvent } from "../../../src/domain/events/session-event.ts";
import { connectNats, type Nats } from "../../../src/nats/connection.ts";
import { openEventStore } from "../../../src/nats/events/event-store.ts";
import { provision } from "../../../src/nats/provisioning.ts";
import { silentLogger } from "../../../src/telemetry/logger.ts";
import { crowded } from "../../support/crowded.ts";
import { startNatsServer, type NatsTestServer } from "../../support/nats-server.ts";
import { until } from "../../support/until.ts";

interface Instance extends AsyncDisposable {
  readonly nats: Nats;
  readonly store: EventStore;
}

async function openInstance(server: NatsTestServer): Promise<Instance> {
  const nats = await connectNats({
    url: server.url,
    name: "test",
    connectTimeoutMs: 5_000,
    logger: silentLogger,
    clock: { nowMs: () => Date.now() },
  });
  await provision(nats);
  const store = await openEventStore(nats, { logger: silentLogger });
  return {
    nats,
    store,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await nats[Symbol.asyncDispose]();
    },
  };
}

interface Setup extends AsyncDisposable {
  readonly server: NatsTestServer;
  readonly a: Instance;
  readonly b: Instance;
}

async function setup(): Promise<Setup> {
  const server = await startNatsServer();
  const [a, b] = [await openInstance(server), await openInstance(server)];
  return {
    server,
    a,
    b,
    async [Symbol.asyncDispose]() {
      await a[Symbol.asyncDispose]();
      await b[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

function anEvent(eventId: string, sessionId = "session-1"): SessionEvent {
  return {
    eventId,
    eventType: "session_started",
    sessionId,
    thresholdN: 3,
    thresholdT: 2,
    selectedParties: ["party-1", "party-2", "party-3"],
    messageHash: new Uint8Array([1, 2, 3]),
    createdAt: Date.now(),
    expiresAt: Date.now() + 60_000,
  };
}

async function collect(events: AsyncIterable<StoredEvent>): Promise<StoredEvent[]> {
  const collected: StoredEvent[] = [];
  for await (const stored of events) collected.push(stored);
  return collected;
}

function idsOf(events: readonly StoredEvent[]): string[] {
  return events.map((stored) => stored.event.eventId);
}

/** What a listener has heard so far. */
function hearing(store: EventStore): StoredEvent[] {
  const heard: StoredEvent[] = [];
  store.onEvent((stored) => heard.push(stored));
  return heard;
}

describe("event store", () => {
  it("stores an event once and gives it back as it was, on every instance", async () => {
    await using env = await setup();
    const event = anEvent("event-1");
    assert.equal(await env.a.store.append(event, "hash"), undefined);
    const found = await env.b.store.find("event-1");
    assert.deepEqual(found, { event, contentHash: "hash", sequence: 1 });
    assert.equal(await env.b.store.find("event-2"), undefined);
    assert.equal(await env.b.store.lastSequence(), 1);
  });

  it("answers a second event of the same id with the first, also in another session", async () => {
    await using env = await setup();
    const first = anEvent("event-1");
    await env.a.store.append(first, "hash");
    const again = await env.b.store.append(first, "hash");
    assert.equal(again?.sequence, 1);
    const elsewhere = await env.b.store.append(anEvent("event-1", "session-2"), "other");
    assert.equal(elsewhere?.contentHash, "hash");
    assert.equal(elsewhere?.event.sessionId, "session-1");
    assert.equal(await env.a.store.lastSequence(), 1);
  });

  it("stores one of many concurrent events of the same id", async () => {
    await using env = await setup();
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        (index % 2 === 0 ? env.a : env.b).store.append(anEvent("event-1", `session-${index}`), "x"),
      ),
    );
    assert.equal(answers.filter((answer) => answer === undefined).length, 1);
    assert.equal(await env.a.store.lastSequence(), 1);
  });

  it("keeps a derived id apart per session", async () => {
    await using env = await setup();
    assert.equal(await env.a.store.append(anEvent("derived", "session-1"), ""), undefined);
    assert.equal(await env.a.store.append(anEvent("derived", "session-2"), ""), undefined);
    assert.equal((await env.b.store.append(anEvent("derived", "session-2"), ""))?.sequence, 2);
  });

  it("tells every listener of every instance each event once and in order", async () => {
    await using env = await setup();
    const heard = [hearing(env.a.store), hearing(env.a.store), hearing(env.b.store)];
    const ids = Array.from({ length: 100 }, (_, index) => `event-${index}`);
    for (const [index, id] of ids.entries()) {
      await (index % 2 === 0 ? env.a : env.b).store.append(anEvent(id), "x");
    }
    for (const events of heard) {
      await until("all events heard", () => events.length === 100);
      assert.deepEqual(idsOf(events), ids);
    }
    assert.equal(env.a.store.heardSequence(), 100);
  });

  it("does not tell a listener what was stored before", async () => {
    await using env = await setup();
    await env.a.store.append(anEvent("before"), "x");
    await until("heard", () => env.b.store.heardSequence() === 1);
    await using late = await openInstance(env.server);
    assert.equal(late.store.heardSequence(), 1);
    const heard = [hearing(env.b.store), hearing(late.store)];
    await env.a.store.append(anEvent("after"), "x");
    for (const events of heard) {
      await until("heard", () => events.length > 0);
      assert.deepEqual(idsOf(events), ["after"]);
    }
  });

  it("goes on without loss or repeat after the server was killed, idle or in the middle", async () => {
    await using env = await setup();
    const heard = [hearing(env.a.store), hearing(env.b.store)];
    const stored: string[] = [];
    const append = async (id: string): Promise<void> => {
      // A try that was cut off may have been stored, so that the next one finds it.
      for (;;) {
        try {
          await env.a.store.append(anEvent(id), "x");
          stored.push(id);
          return;
        } catch {
          await until("connected", () => env.a.nats.isConnected(), 20_000);
        }
      }
    };
    for (let round = 0; round < 3; round += 1) {
      for (let index = 0; index < 20; index += 1) await append(`idle-${round}-${index}`);
      await env.server.kill("SIGKILL");
      await env.server.restart();
      const running = (async () => {
        for (let index = 0; index < 200; index += 1) await append(`busy-${round}-${index}`);
      })();
      await until("some stored", () => stored.includes(`busy-${round}-50`), 20_000);
      await env.server.kill("SIGKILL");
      await env.server.restart();
      await running;
    }
    for (const events of heard) {
      await until("all events heard", () => events.length >= stored.length, 10_000);
      assert.deepEqual(idsOf(events), stored);
    }
  });

  it("hears again within two seconds of the server's return", async () => {
    await using env = await setup();
    const heard = hearing(env.b.store);
    await env.server.kill("SIGKILL");
    await env.server.restart();
    await until("connected", () => env.a.nats.isConnected() && env.b.nats.isConnected());
    const startedAt = performance.now();
    await env.a.store.append(anEvent("event-1"), "x");
    await until("heard", () => heard.length === 1);
    assert.ok(performance.now() - startedAt < crowded(2_000));
  });

  it("reads a range in order, of all sessions or of one, from memory and from the store", async () => {
    await using env = await setup();
    for (let index = 1; index <= 700; index += 1) {
      await env.a.store.append(anEvent(`event-${index}`, `session-${index % 2}`), "x");
    }
    await until("heard", () => env.b.store.heardSequence() === 700);
    await using late = await openInstance(env.server);
    for (const { store } of [env.b, late]) {
      const some = await collect(store.read({ after: 10, upTo: 690 }));
      assert.deepEqual(
        some.map((stored) => stored.sequence),
        Array.from({ length: 680 }, (_, index) => index + 11),
      );
      const odd = await collect(store.read({ after: 0, upTo: 700, sessionId: "session-1" }));
      assert.equal(odd.length, 350);
      assert.ok(odd.every((stored) => stored.event.sessionId === "session-1"));
      assert.deepEqual(await collect(store.read({ after: 700, upTo: 700 })), []);
      const both = await store.ofSessions(["session-0", "session-none"], 101);
      assert.deepEqual(
        both.map((stored) => stored.sequence),
        Array.from({ length: 50 }, (_, index) => 2 * index + 2),
      );
    }
  });

  it("removes a session's events and leaves the others", async () => {
    await using env = await setup();
    await env.a.store.append(anEvent("event-1", "session-1"), "x");
    await env.a.store.append(anEvent("event-2", "session-2"), "x");
    await until("heard", () => env.a.store.heardSequence() === 2);
    await env.a.store.removeSession("session-1");
    assert.equal(await env.a.store.find("event-1"), undefined);
    assert.deepEqual(idsOf(await collect(env.a.store.read({ after: 0, upTo: 2 }))), ["event-2"]);
    assert.deepEqual(idsOf(await env.a.store.ofSessions(["session-1", "session-2"], 2)), [
      "event-2",
    ]);
  });

  it("keeps an event for a day longer than its session, and no longer than the longest session", async () => {
    await using env = await setup();
    await env.a.store.append({ ...anEvent("event-1"), expiresAt: Date.now() + 600_000 }, "x");
    await env.a.store.append({ ...anEvent("event-2"), expiresAt: 0 }, "x");
    await env.a.store.append({ ...anEvent("event-3"), expiresAt: Number.MAX_SAFE_INTEGER }, "x");
    const ttls = [];
    for (const seq of [1, 2, 3]) {
      const message = await env.a.nats.jsm.streams.getMessage("MPC_EVT", { seq });
      ttls.push(Number.parseInt(message?.header.get("Nats-TTL") ?? "", 10));
    }
    assert.deepEqual(ttls, [86_400 + 600, 86_400, 86_400 + 604_800]);
  });
});
