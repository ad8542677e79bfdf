import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isRouterError } from "../../../src/domain/errors.ts";
import type { SessionEvent } from "../../../src/domain/events/session-event.ts";
import { until } from "../../support/until.ts";
import {
  listen,
  open,
  register,
  startRouter,
  type Listening,
} from "../../support/test-instances.ts";

function anEvent(eventId: string, selectedParties: readonly string[]): SessionEvent {
  return {
    eventId,
    eventType: "custom",
    sessionId: "unknown-session",
    thresholdN: 0,
    thresholdT: 0,
    selectedParties,
    messageHash: new Uint8Array(),
    createdAt: Date.now(),
    expiresAt: Date.now() + 60_000,
  };
}

function typesOf(listening: Listening): readonly string[] {
  return listening.events.map((event) => `${event.sessionId} ${event.eventType}`);
}

async function heard(listening: Listening, count: number): Promise<void> {
  await until(`${count} events`, () => listening.events.length >= count);
}

describe("event streams", () => {
  it("refuse a party that is not registered, on every instance, until it is", async () => {
    await using router = await startRouter();
    await assert.rejects(listen(router.b, "party-1"), (error) =>
      isRouterError(error, "NOT_REGISTERED"),
    );
    await register(router.a, "party-1");
    await using listening = await listen(router.b, "party-1");
    assert.deepEqual(listening.events, []);
  });

  it("refuse bad ids and the party of somebody else", async () => {
    await using router = await startRouter();
    const request = { partyId: "party-1", eventTypes: [], lastEventId: "" };
    for (const bad of [
      { ...request, partyId: "*" },
      { ...request, partyId: "" },
      { ...request, eventTypes: ["session_created", "a.b"] },
      { ...request, eventTypes: [""] },
      { ...request, lastEventId: ">" },
    ]) {
      await assert.rejects(router.a.streams.open(open, bad), (error) =>
        isRouterError(error, "INVALID_ID"),
      );
    }
    const tooMany = { ...request, eventTypes: Array.from({ length: 101 }, () => "type") };
    await assert.rejects(router.a.streams.open(open, tooMany), (error) =>
      isRouterError(error, "INVALID_FIELD"),
    );
    const other = { kind: "party", partyId: "party-2" } as const;
    await assert.rejects(router.a.streams.open(other, request), (error) =>
      isRouterError(error, "CALLER_MISMATCH"),
    );
    await assert.rejects(router.a.streams.open({ kind: "coordinator" }, request), (error) =>
      isRouterError(error, "CALLER_MISMATCH"),
    );
  });

  it("give a party the events that select it, from whatever instance, in the order of the store", async () => {
    await using router = await startRouter();
    await register(router.a, "party-1", "party-2");
    await using one = await listen(router.a, "party-1");
    await using other = await listen(router.b, "party-1");
    const ids = Array.from({ length: 40 }, (_, index) => `event-${index}`);
    for (const [index, id] of ids.entries()) {
      const { store } = index % 2 === 0 ? router.a : router.b;
      await store.append(anEvent(id, index % 4 === 3 ? ["party-2"] : ["party-2", "party-1"]), "x");
      await store.append(anEvent(`${id}-nobody`, []), "x");
    }
    const expected = ids.filter((_, index) => index % 4 !== 3);
    for (const listening of [one, other]) {
      await heard(listening, expected.length);
      assert.deepEqual(listening.ids(), expected);
    }
  });

  it("give only the types asked for, live and replayed", async () => {
    await using router = await startRouter();
    await register(router.a, "party-1", "party-2");
    await router.sessions.create(router.a.store, "session-1", ["party-1", "party-2"]);
    await router.sessions.move(router.a.store, "session-1", "session_started");
    await using listening = await listen(router.b, "party-1", { eventTypes: ["session_started"] });
    await router.sessions.create(router.a.store, "session-2", ["party-1", "party-2"]);
    await router.sessions.move(router.a.store, "session-2", "session_started");
    await heard(listening, 2);
    assert.deepEqual(typesOf(listening), [
      "session-1 session_started",
      "session-2 session_started",
    ]);
  });

  it("begin with all events of live sessions and none of ended ones or of other parties", async () => {
    await using router = await startRouter();
    await register(router.a, "party-1", "party-2", "party-3");
    const { store } = router.a;
    await router.sessions.create(store, "live-1", ["party-1", "party-2"]);
    await router.sessions.create(store, "ended", ["party-1", "party-2"]);
    await router.sessions.create(store, "live-2", ["party-1", "party-2"]);
    await router.sessions.create(store, "foreign", ["party-2", "party-3"]);
    await router.sessions.move(store, "ended", "session_completed");
    await router.sessions.move(store, "live-1", "session_started");
    await store.append(anEvent("passed-through", ["party-1"]), "x");
    await using listening = await listen(router.b, "party-1");
    await heard(listening, 3);
    await store.append(anEvent("after", ["party-1"]), "x");
    await heard(listening, 4);
    assert.deepEqual(typesOf(listening), [
      "live-1 session_created",
      "live-2 session_created",
      "live-1 session_started",
      "unknown-session custom",
    ]);
  });

  it("begin the same for a party of more sessions than are read one by one", async () => {
    await using router = await startRouter();
    await register(router.a, "party-1");
    const expected = [];
    for (let index = 0; index < 130; index += 1) {
      await router.sessions.create(router.a.store, `session-${index}`, ["party-1", "party-2"]);
      if (index % 5 === 0) {
        await router.sessions.move(router.a.store, `session-${index}`, "session_expired");
      } else expected.push(`session-${index} session_created`);
    }
    await using listening = await listen(router.b, "party-1");
    await heard(listening, expected.length);
    assert.deepEqual(typesOf(listening), expected);
  });

  it("have neither gap nor repeat between replay and live, while events are being stored", async () => {
    await using router = await startRouter();
    await register(router.a, "party-1");
    const all: string[] = [];
    const stopping = new AbortController();
    const storing = (async () => {
      for (let index = 0; !stopping.signal.aborted; index += 1) {
        await router.sessions.create(router.a.store, `session-${index}`, ["party-1", "party-2"]);
        all.push(`session-${index} session_created`);
      }
    })();
    const opened: Listening[] = [];
    for (let index = 1; index <= 10; index += 1) {
      await until("some events", () => all.length >= index * 10);
      opened.push(await listen(index % 2 === 0 ? router.a : router.b, "party-1"));
    }
    stopping.abort();
    await storing;
    for (const listening of opened) {
      await heard(listening, all.length);
      assert.deepEqual(typesOf(listening), all);
      await listening[Symbol.asyncDispose]();
    }
  });

  describe("with Last-Event-ID", () => {
    it("give everything after that event, ended sessions included, and nothing before", async () => {
      await using router = await startRouter();
      await register(router.a, "party-1");
      const { store } = router.a;
      await router.sessions.create(store, "live", ["party-1", "party-2"]);
      await store.append(anEvent("marker", ["party-1"]), "x");
      await router.sessions.create(store, "ended", ["party-1", "party-2"]);
      await router.sessions.move(store, "ended", "session_completed");
      await store.append(anEvent("last", ["party-1"]), "x");
      for (const instance of [router.a, router.b]) {
        await using listening = await listen(instance, "party-1", { lastEventId: "marker" });
        await heard(listening, 3);
        await using late = await listen(instance, "party-1", { lastEventId: "last" });
        assert.deepEqual(typesOf(listening), [
          "ended session_created",
          "ended session_completed",
          "unknown-session custom",
        ]);
        assert.deepEqual(late.events, []);
      }
    });

    it("take an event of another party as a place in the order, too", async () => {
      await using router = await startRouter();
      await register(router.a, "party-1");
      await router.a.store.append(anEvent("before", ["party-1"]), "x");
      await router.a.store.append(anEvent("foreign", ["party-2"]), "x");
      await router.a.store.append(anEvent("after", ["party-1"]), "x");
      await using listening = await listen(router.b, "party-1", { lastEventId: "foreign" });
      await heard(listening, 1);
      assert.deepEqual(listening.ids(), ["after"]);
    });

    it("give live sessions and how ended ones ended when the event is unknown or purged", async () => {
      await using router = await startRouter();
      await register(router.a, "party-1");
      const { store } = router.a;
      await router.sessions.create(store, "purged", ["party-1", "party-2"]);
      const [purged] = await store.ofSessions(["purged"], Number.MAX_SAFE_INTEGER);
      await router.sessions.create(store, "ended", ["party-1", "party-2"]);
      await router.sessions.create(store, "live", ["party-1", "party-2"]);
      await router.sessions.move(store, "ended", "session_started");
      await router.sessions.move(store, "ended", "session_completed");
      await store.removeSession("purged");
      router.sessions.records.delete("purged");
      for (const lastEventId of ["never-was", purged?.event.eventId ?? ""]) {
        await using listening = await listen(router.b, "party-1", { lastEventId });
        await heard(listening, 2);
        assert.deepEqual(typesOf(listening), ["live session_created", "ended session_completed"]);
      }
    });

    it("lose nothing over reconnects that each name the last event they had", async () => {
      await using router = await startRouter();
      await register(router.a, "party-1");
      await router.a.store.append(anEvent("event-0", ["party-1"]), "x");
      const got: string[] = [];
      let lastEventId = "event-0";
      for (let round = 1; round <= 5; round += 1) {
        await router.a.store.append(anEvent(`event-${round}-a`, ["party-1"]), "x");
        await using listening = await listen(round % 2 === 0 ? router.a : router.b, "party-1", {
          lastEventId,
        });
        await router.b.store.append(anEvent(`event-${round}-b`, ["party-1"]), "x");
        await heard(listening, 2);
        got.push(...listening.ids());
        lastEventId = listening.ids().at(-1) ?? "";
      }
      assert.deepEqual(
        got,
        [1, 2, 3, 4, 5].flatMap((round) => [`event-${round}-a`, `event-${round}-b`]),
      );
    });
  });

  it("put into session_created the party's own token, and the lent share only for its delegate", async () => {
    await using router = await startRouter();
    await register(router.a, "party-1", "delegate", "party-3");
    await using early = await listen(router.a, "party-1");
    await router.sessions.create(router.a.store, "session-1", ["party-1", "delegate", "party-3"]);
    const record = router.sessions.records.get("session-1");
    assert.ok(record);
    router.sessions.records.set("session-1", {
      ...record,
      lentShareTo: { partyId: "delegate", partyIndex: 1 },
    });
    await using delegate = await listen(router.b, "delegate");
    await heard(early, 1);
    await heard(delegate, 1);
    assert.equal(early.events[0]?.joinToken, "token-session-1-party-1");
    assert.equal(early.events[0]?.lentShare, undefined);
    assert.equal(delegate.events[0]?.joinToken, "token-session-1-delegate");
    assert.deepEqual(delegate.events[0]?.lentShare, {
      delegatePartyId: "delegate",
      encryptedShare: new Uint8Array([9, 9]),
      partyIndex: 1,
    });
    await router.sessions.move(router.a.store, "session-1", "session_started");
    await heard(delegate, 2);
    assert.equal(delegate.events[1]?.joinToken, undefined);
    assert.equal(delegate.events[1]?.lentShare, undefined);
  });

  it("leave token and share out once the session has ended", async () => {
    await using router = await startRouter();
    await register(router.a, "party-1");
    await router.a.store.append(anEvent("marker", []), "x");
    await router.sessions.create(router.a.store, "session-1", ["party-1", "party-2"]);
    await router.sessions.move(router.a.store, "session-1", "session_completed");
    await using listening = await listen(router.b, "party-1", { lastEventId: "marker" });
    await heard(listening, 2);
    assert.equal(listening.events[0]?.eventType, "session_created");
    assert.equal(listening.events[0]?.joinToken, undefined);
  });

  it("store no token with the event", async () => {
    await using router = await startRouter();
    await router.sessions.create(router.a.store, "session-1", ["party-1", "party-2"]);
    const stored = await router.a.nats.jsm.streams.getMessage("MPC_EVT", { seq: 1 });
    assert.doesNotMatch(Buffer.from(stored?.data ?? []).toString(), /token-/);
  });

  it("go on without loss when the server is killed and comes back", async () => {
    await using router = await startRouter();
    await register(router.a, "party-1");
    await using one = await listen(router.a, "party-1");
    await using other = await listen(router.b, "party-1");
    const all: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      for (let index = 0; index < 5; index += 1) {
        const sessionId = `session-${round}-${index}`;
        await router.sessions.create(router.a.store, sessionId, ["party-1", "party-2"]);
        all.push(`${sessionId} session_created`);
      }
      await router.crashServer();
    }
    await router.sessions.create(router.b.store, "last", ["party-1", "party-2"]);
    all.push("last session_created");
    for (const listening of [one, other]) {
      await heard(listening, all.length);
      assert.deepEqual(typesOf(listening), all);
    }
  });

  it("answer BROKER_UNAVAILABLE within 2.5 s when the server is away", async () => {
    await using router = await startRouter();
    await register(router.a, "party-1");
    await router.server.kill("SIGKILL");
    const startedAt = performance.now();
    await assert.rejects(listen(router.a, "party-1"), (error) =>
      isRouterError(error, "BROKER_UNAVAILABLE"),
    );
    assert.ok(performance.now() - startedAt < 2_500);
    await router.server.restart();
  });

  it("lose nothing for a reader that is slower than its queue, and keep no more than that in memory", async () => {
    await using router = await startRouter();
    await register(router.a, "party-1");
    const stream = await router.a.streams.open(open, {
      partyId: "party-1",
      eventTypes: [],
      lastEventId: "",
    });
    const ids = Array.from({ length: 2_500 }, (_, index) => `event-${index}`);
    for (let done = 0; done < ids.length; done += 50) {
      const some = ids.slice(done, done + 50);
      await Promise.all(some.map((id) => router.a.store.append(anEvent(id, ["party-1"]), "")));
    }
    const last = await router.a.store.lastSequence();
    await until("all heard", () => router.a.store.heardSequence() === last);
    const stopping = new AbortController();
    const got: string[] = [];
    for await (const event of stream.events(stopping.signal)) {
      got.push(event.eventId);
      if (got.length === 2_500) stopping.abort();
    }
    await stream[Symbol.asyncDispose]();
    const stored: string[] = [];
    for await (const { event } of router.a.store.read({ after: 0, upTo: last })) {
      stored.push(event.eventId);
    }
    assert.deepEqual(got, stored);
    assert.equal(new Set(got).size, 2_500);
  });
});
