import assert from "node:assert/strict";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { describe, it } from "node:test";
import type { Interceptor, StreamResponse } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import {
  connectParty,
  isPartyError,
  type Party,
  type PartySession,
  type PartyState,
} from "../../../src/party/index.ts";
import { startFlakyProxy } from "../../support/flaky-proxy.ts";
import { startFleet } from "../../support/fleet.ts";
import {
  connectParties,
  joinAll,
  orderSession,
  partyTransport,
  type PartySeat,
} from "../../support/parties.ts";
import { startRouter } from "../../support/router.ts";
import { until } from "../../support/until.ts";

interface Table extends AsyncDisposable {
  readonly url: string;
  readonly alice: Party;
  readonly bob: Party;
  readonly a: PartySession;
  readonly b: PartySession;
}

/** Alice as the test wants her, and Bob, in a session that is in progress. */
async function setup(
  seat: (url: string) => Promise<Omit<PartySeat, "url"> & { readonly url?: string }>,
): Promise<Table> {
  await using resources = new AsyncDisposableStack();
  const fleet = resources.use(await startFleet("Connect JSON"));
  const [url = ""] = fleet.urls;
  const [alice, bob] = await connectParties([
    { url, protocol: "Connect", ...(await seat(url)) },
    { url, protocol: "Connect" },
  ]);
  assert.ok(alice && bob);
  resources.use(alice);
  resources.use(bob);
  const [a, b] = await joinAll(url, [alice, bob], { ready: true });
  assert.ok(a && b);
  const held = resources.move();
  return { url, alice, bob, a, b, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

function text(payload: string): { round: number; type: string; payload: Uint8Array } {
  return { round: 1, type: "text", payload: Buffer.from(payload) };
}

/** Reads in the background; the texts as they come. */
function collect(session: PartySession): { texts: string[]; ended: Promise<unknown> } {
  const texts: string[] = [];
  const ended = (async () => {
    try {
      for await (const { payload } of session.messages()) {
        texts.push(Buffer.from(payload).toString());
      }
      return undefined;
    } catch (error) {
      return error;
    }
  })();
  return { texts, ended };
}

describe("a party whose router is away", () => {
  it("connects when the router comes, and says what it waits for", async () => {
    await using router = await startRouter();
    await router.kill("SIGTERM");
    const states: string[] = [];
    const connecting = connectParties([
      {
        url: router.url,
        protocol: "gRPC",
        onState: (state, cause) => states.push(`${state} ${cause?.reason ?? ""}`),
      },
    ]);
    await until("the first try has failed", () => states.includes("connecting UNAVAILABLE"));
    await router.restart();
    const [party] = await connecting;
    assert.ok(party);
    await party.close();
    assert.equal(states.at(-1), "connected ");
  });

  it("gives up when its signal fires", async () => {
    const stop = new AbortController();
    const transport = partyTransport("Connect", "http://127.0.0.1:1");
    const connecting = connectParty({ transport, partyId: "alice", signal: stop.signal });
    stop.abort(new Error("enough"));
    await assert.rejects(connecting, (error) => {
      assert.ok(isPartyError(error, "ABORTED"));
      assert.match(String(error.cause), /enough/);
      return true;
    });
  });

  it("registers again with a router that has lost everything, and goes on to hear of sessions", async () => {
    await using router = await startRouter();
    const seats = [{ url: router.url, protocol: "gRPC" }, { url: router.url }] as const;
    const [alice, bob] = await connectParties(seats);
    assert.ok(alice && bob);
    await using first = alice;
    await using second = bob;
    const before = await orderSession(router.url, [first, second]);
    assert.equal((await first.nextSession()).sessionId, before.sessionId);
    await router.kill("SIGTERM");
    await rm(router.dataDir, { recursive: true });
    await router.restart();
    const next = first.nextSession();
    await second.heartbeat();
    const after = await orderSession(router.url, [first, second]);
    assert.equal((await next).sessionId, after.sessionId);
    assert.equal((await second.nextSession()).sessionId, after.sessionId);
  });

  it("sends again what it could not, until the session has ended", async () => {
    await using router = await startRouter();
    await using proxy = await startFlakyProxy(router.port);
    const states: PartyState[] = [];
    const [alice, bob] = await connectParties([
      { url: proxy.url, protocol: "gRPC-Web", onState: (state) => states.push(state) },
      { url: router.url },
    ]);
    assert.ok(alice && bob);
    await using first = alice;
    await using second = bob;
    const [a, b] = await joinAll(router.url, [first, second], { ready: true });
    assert.ok(a && b);
    const { texts } = collect(b);
    proxy.stall();
    proxy.cut();
    const sending = a.send(bob.partyId, text("through"));
    await until("the outage is noticed", () => states.includes("reconnecting"));
    proxy.resume();
    proxy.cut();
    await sending;
    await until("it has arrived", () => texts.length > 0);
    assert.deepEqual(texts, ["through"]);
    assert.ok(alice.faults.retries > 0);
  });
});

describe("a party that reads in two places", () => {
  it("is told so by a final error in the first", async () => {
    await using table = await setup(async () => ({}));
    const { url, alice, bob, a, b } = table;
    const first = collect(a);
    await until("the first reads", async () => {
      await b.send(alice.partyId, text("one"));
      return first.texts.length > 0;
    });
    const [twin] = await connectParties([{ url, protocol: "gRPC", partyId: alice.partyId }]);
    assert.ok(twin);
    await using other = twin;
    const session = await other.join(await other.nextSession());
    const second = collect(session);
    const error = await first.ended;
    assert.ok(isPartyError(error, "SUPERSEDED"), String(error));
    assert.equal(error.isFinal, true);
    await b.send(alice.partyId, text("two"));
    await until("the second reads", () => second.texts.includes("two"));
    assert.ok(!first.texts.includes("two"));
    await bob.close();
  });
});

/** Lets so many messages of each stream through, and then nothing more, not even its end, until it is lifted. */
function createMuffler(): {
  readonly interceptor: Interceptor;
  muffle: (isMuffled: boolean) => void;
} {
  let isMuffled = false;
  const interceptor: Interceptor = (next) => async (request) => {
    const response = await next(request);
    if (!response.stream || request.method.name !== "SubscribeMessages") return response;
    const hears = async function* (): AsyncGenerator<
      StreamResponse["message"] extends AsyncIterable<infer M> ? M : never
    > {
      for await (const message of response.message) {
        if (isMuffled) await once(request.signal, "abort");
        yield message;
      }
    };
    return { ...response, message: hears() };
  };
  return { interceptor, muffle: (now) => (isMuffled = now) };
}

describe("the watchdog", () => {
  it("opens a stream anew that does not bring what is pending", async () => {
    const muffler = createMuffler();
    await using table = await setup(async () => ({
      interceptors: [muffler.interceptor],
      heartbeatMs: 100,
    }));
    const { alice, a, b } = table;
    const { texts } = collect(a);
    await b.send(alice.partyId, text("one"));
    await until("the first has arrived", () => texts.length === 1);
    muffler.muffle(true);
    await b.send(alice.partyId, text("two"));
    await until("the stream is open and mute", async () => {
      return (await alice.heartbeat()).pendingMessages === 1;
    });
    muffler.muffle(false);
    // The next heartbeat finds out, and the stream is given 2 s.
    await until("the second has arrived", () => texts.length === 2, 8_000);
    assert.deepEqual(texts, ["one", "two"]);
  });

  it("leaves a stream alone whose reader is busy, and mail of which the reader has it in hand", async () => {
    let streams = 0;
    const counting: Interceptor = (next) => (request) => {
      if (request.method.name === "SubscribeMessages") streams++;
      return next(request);
    };
    await using table = await setup(async () => ({ interceptors: [counting], heartbeatMs: 50 }));
    const { alice, a, b } = table;
    for (const word of ["one", "two", "three"]) await b.send(alice.partyId, text(word));
    const reading = a.messages({ acknowledge: "by-hand" });
    const held = [await reading.next(), await reading.next(), await reading.next()];
    const fourth = reading.next();
    const before = alice.faults;
    const waitedFrom = performance.now();
    await until("heartbeats have passed", () => performance.now() - waitedFrom > 2_500);
    assert.equal(streams, 1);
    assert.deepEqual(alice.faults, before);
    for (const { value } of held) await value?.acknowledge();
    await b.send(alice.partyId, text("four"));
    assert.equal((await fourth).done, false);
    await reading.return?.();
  });
});

describe("connections that die without a sign", () => {
  it("are replaced under streams over HTTP/1.1, once a heartbeat has found out", async () => {
    await using router = await startRouter();
    await using proxy = await startFlakyProxy(router.port);
    const [alice, bob] = await connectParties([
      { url: proxy.url, protocol: "Connect", heartbeatMs: 200 },
      { url: router.url },
    ]);
    assert.ok(alice && bob);
    await using first = alice;
    await using second = bob;
    const [a, b] = await joinAll(router.url, [first, second], { ready: true });
    assert.ok(a && b);
    const { texts } = collect(a);
    await b.send(alice.partyId, text("one"));
    await until("the first has arrived", () => texts.length === 1);
    proxy.deafen();
    await b.send(alice.partyId, text("two"));
    await until("the second has arrived", () => texts.length === 2, 20_000);
    assert.deepEqual(texts, ["one", "two"]);
  });

  it("are replaced under streams over HTTP/2 whose transport pings", async () => {
    await using router = await startRouter();
    await using proxy = await startFlakyProxy(router.port);
    const transport = createGrpcTransport({
      baseUrl: proxy.url,
      pingIntervalMs: 200,
      pingTimeoutMs: 200,
    });
    const [alice, bob] = await connectParties([{ url: proxy.url, transport }, { url: router.url }]);
    assert.ok(alice && bob);
    await using first = alice;
    await using second = bob;
    const [a, b] = await joinAll(router.url, [first, second], { ready: true });
    assert.ok(a && b);
    const { texts } = collect(a);
    await b.send(alice.partyId, text("one"));
    await until("the first has arrived", () => texts.length === 1);
    proxy.deafen();
    await b.send(alice.partyId, text("two"));
    await until("the second has arrived", () => texts.length === 2, 20_000);
    assert.deepEqual(texts, ["one", "two"]);
  });
});

describe("a reader that is slow", () => {
  it("holds up the router's mail, not the party's memory", async () => {
    let received = 0;
    const counting: Interceptor = (next) => async (request) => {
      const response = await next(request);
      if (!response.stream || request.method.name !== "SubscribeMessages") return response;
      const counted = async function* (): AsyncGenerator<never> {
        for await (const message of response.message) {
          received++;
          yield message as never;
        }
      };
      return { ...response, message: counted() };
    };
    await using table = await setup(async () => ({ interceptors: [counting] }));
    const { alice, a, b } = table;
    for (let count = 0; count < 30; count++) await b.send(alice.partyId, text(`${count}`));
    const reading = a.messages();
    await reading.next();
    await reading.next();
    assert.equal(received, 2);
    await reading.return?.();
  });
});

describe("an aborted wait", () => {
  it("ends with ABORTED, and the party goes on", async () => {
    await using table = await setup(async () => ({}));
    const { alice, a, b } = table;
    const stop = new AbortController();
    const { signal } = stop;
    const waits = [
      a.messages({ signal }).next(),
      alice.nextSession({ signal }),
      alice.events({ signal, types: ["none"] }).next(),
    ];
    const outcomes = Promise.allSettled(waits);
    stop.abort();
    for (const outcome of await outcomes) {
      assert.ok(outcome.status === "rejected" && isPartyError(outcome.reason, "ABORTED"));
    }
    await assert.rejects(a.broadcast(text("one"), { signal }), (error) =>
      isPartyError(error, "ABORTED"),
    );
    await a.broadcast(text("two"));
    const { value } = await b.messages().next();
    assert.equal(Buffer.from(value?.payload ?? []).toString(), "two");
  });

  it("ends with CLOSED when the session or the party is closed", async () => {
    await using table = await setup(async () => ({}));
    const { alice, bob, a, b } = table;
    const reading = a.messages().next();
    const ended = a.ended;
    const settled = Promise.allSettled([reading, ended]);
    await a.close();
    for (const outcome of await settled) {
      assert.ok(outcome.status === "rejected" && isPartyError(outcome.reason, "CLOSED"));
    }
    const waiting = Promise.allSettled([bob.nextSession(), b.messages().next()]);
    await bob.close();
    await bob.close();
    for (const outcome of await waiting) {
      assert.ok(outcome.status === "rejected" && isPartyError(outcome.reason, "CLOSED"));
    }
    await assert.rejects(bob.heartbeat(), (error) => isPartyError(error, "CLOSED"));
    await assert.rejects(a.ready(), (error) => isPartyError(error, "CLOSED"));
    assert.ok((await alice.heartbeat()).serverTimestamp > 0);
  });

  it("closes the party when the signal is the party's own", async () => {
    const stop = new AbortController();
    await using table = await setup(async () => ({ signal: stop.signal }));
    const reading = table.a.messages().next();
    const waiting = Promise.allSettled([reading]);
    stop.abort();
    const [outcome] = await waiting;
    assert.ok(outcome?.status === "rejected" && isPartyError(outcome.reason, "CLOSED"));
  });
});

async function mostStreams(streams: "one" | "many"): Promise<number> {
  let open = 0;
  let most = 0;
  const counting: Interceptor = (next) => async (request) => {
    if (!request.stream) return next(request);
    most = Math.max(most, ++open);
    request.signal.addEventListener("abort", () => open--);
    return next(request);
  };
  await using table = await setup(async () => ({ interceptors: [counting], streams }));
  const { url, alice, bob, a, b } = table;
  for (let round = 0; round < 3; round++) {
    await b.send(alice.partyId, text("one"));
    for await (const { from } of a.messages()) {
      assert.equal(from, bob.partyId);
      break;
    }
    const next = await orderSession(url, [alice, bob]);
    assert.equal(
      (await alice.nextSession({ sessionId: next.sessionId })).sessionId,
      next.sessionId,
    );
  }
  return most;
}

describe("streams of a party", () => {
  it("are one at a time unless it wants more", async () => {
    assert.equal(await mostStreams("one"), 1);
  });

  it("are one for events and one for messages if it does", async () => {
    assert.equal(await mostStreams("many"), 2);
  });
});
