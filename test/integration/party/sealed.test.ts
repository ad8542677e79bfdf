import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Interceptor } from "@connectrpc/connect";
import type {
  MPCMessage,
  RouteMessageRequest,
} from "../../../gen/mpc/router/v1/message_router_pb.js";
import {
  createIdentity,
  isPartyError,
  isSealError,
  sealSession,
  type Party,
  type PublicIdentity,
  type ReceivedMessage,
  type SealedSession,
  type SealError,
} from "../../../src/party/index.ts";
import { startFleet } from "../../support/fleet.ts";
import { connectParties, joinAll } from "../../support/parties.ts";
import { until } from "../../support/until.ts";

const names = ["alice", "bob", "carol"] as const;
type Name = (typeof names)[number];

/** What the man in the middle makes of a delivery to a party: these messages instead of it. */
type Meddling = (message: MPCMessage, recipient: Name) => readonly MPCMessage[];

const honest: Meddling = (message) => [message];

interface Table extends AsyncDisposable {
  readonly url: string;
  readonly parties: Readonly<Record<Name, Party>>;
  readonly sealed: Readonly<Record<Name, SealedSession>>;
  /** From now on the router does that to what it delivers. */
  meddle(meddling: Meddling): void;
  /** What each party's channel has refused. */
  readonly refused: Readonly<Record<Name, SealError[]>>;
  /** What went out, as the router sees it. */
  readonly routed: readonly RouteMessageRequest[];
}

/** Three parties over three protocols in a sealed session, through a router that may lie. */
async function setup(options: { readonly reports?: boolean } = {}): Promise<Table> {
  await using resources = new AsyncDisposableStack();
  const fleet = resources.use(await startFleet("Connect JSON"));
  const [url = ""] = fleet.urls;
  const routed: RouteMessageRequest[] = [];
  let meddling: Meddling = honest;
  const parties = await connectParties(
    names.map((name) => ({
      url,
      partyId: name,
      interceptors: [liar((message) => meddling(message, name)), tap(routed)],
    })),
  );
  for (const party of parties) resources.use(party);
  const sessions = await joinAll(url, parties, { ready: true });
  const identities = names.map(createIdentity);
  const peers = new Map<string, PublicIdentity>(
    identities.map((identity, index) => [names[index] ?? "", identity.public]),
  );
  const refused: Record<Name, SealError[]> = { alice: [], bob: [], carol: [] };
  const sealed = sessions.map((session, index) => {
    const [identity, name] = [identities[index], names[index]];
    assert.ok(identity && name);
    const onRefused = (error: SealError): void => void refused[name].push(error);
    return sealSession(session, {
      identity,
      peers,
      ...(options.reports === false ? {} : { onRefused }),
    });
  });
  const held = resources.move();
  return {
    url,
    parties: byName(parties),
    sealed: byName(sealed),
    meddle: (next) => (meddling = next),
    refused,
    routed,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

function byName<T>(values: readonly T[]): Record<Name, T> {
  const [alice, bob, carol] = values;
  assert.ok(alice && bob && carol);
  return { alice, bob, carol };
}

/** Stands between a party and its router, and puts other messages in the place of those delivered. */
function liar(meddle: (message: MPCMessage) => readonly MPCMessage[]): Interceptor {
  return (next) => async (request) => {
    const response = await next(request);
    if (!response.stream || request.method.name !== "SubscribeMessages") return response;
    const lies = async function* (): AsyncGenerator<MPCMessage> {
      for await (const message of response.message) yield* meddle(message as MPCMessage);
    };
    return { ...response, message: lies() };
  };
}

function tap(routed: RouteMessageRequest[]): Interceptor {
  return (next) => async (request) => {
    if (!request.stream && request.method.name === "RouteMessage") {
      routed.push(request.message as RouteMessageRequest);
    }
    return next(request);
  };
}

function text(payload: string, round = 1): { round: number; type: string; payload: Uint8Array } {
  return { round, type: "text", payload: Buffer.from(payload) };
}

function textOf({ payload }: ReceivedMessage): string {
  return Buffer.from(payload).toString();
}

async function take(session: SealedSession, count: number): Promise<readonly ReceivedMessage[]> {
  const taken: ReceivedMessage[] = [];
  for await (const message of session.messages()) {
    taken.push(message);
    if (taken.length === count) break;
  }
  return taken;
}

/** Every party broadcasts once and takes the broadcasts of the others. */
async function broadcastRound(table: Table, round: number): Promise<void> {
  await Promise.all(
    names.map(async (name) => {
      await table.sealed[name].broadcast(text(`round ${round} of ${name}`, round));
      await take(table.sealed[name], 2);
    }),
  );
}

function changed(bytes: Uint8Array, position: number): Uint8Array {
  const copy = bytes.slice();
  copy[position] = (copy[position] ?? 0) ^ 1;
  return copy;
}

describe("a sealed session", () => {
  it("brings broadcasts and messages to one, readable by their recipients only", async () => {
    await using table = await setup();
    const { alice, bob, carol } = table.sealed;
    await alice.broadcast(text("to everybody in this session"));
    await alice.send("bob", text("to bob and nobody else"));
    await alice.send(["carol", "bob"], text("to these two by name"));
    const b = await take(bob, 3);
    const c = await take(carol, 2);
    assert.deepEqual(b.map(textOf), [
      "to everybody in this session",
      "to bob and nobody else",
      "to these two by name",
    ]);
    assert.deepEqual(c.map(textOf), ["to everybody in this session", "to these two by name"]);
    assert.deepEqual(
      b.map(({ from, isBroadcast }) => [from, isBroadcast]),
      [
        ["alice", true],
        ["alice", false],
        ["alice", false],
      ],
    );
    for (const { payload } of table.routed)
      assert.doesNotMatch(Buffer.from(payload).toString("latin1"), /every|bob and|by name/);
  });

  it("acknowledges as a plain one does, and is complete with it", async () => {
    await using table = await setup();
    const { alice, bob, carol } = table.sealed;
    const first = await alice.send("bob", text("one"));
    const second = await alice.send("bob", text("two"));
    await take(bob, 2);
    const statusOf = async (id: string): Promise<string> => {
      const { deliveries } = await alice.messageStatus(id);
      return deliveries.map(({ status }) => status).join();
    };
    await until(
      "the first is acknowledged",
      async () => (await statusOf(first)) === "acknowledged",
    );
    await until("the second is delivered", async () => (await statusOf(second)) === "delivered");
    const publicKey = new Uint8Array(32).fill(3);
    await bob.complete({ publicKey });
    assert.equal(await statusOf(second), "acknowledged");
    await Promise.all([alice.complete({ publicKey }), carol.complete({ publicKey })]);
    assert.deepEqual(await alice.ended, { status: "completed" });
  });

  it("hands a message out again that the application refused for now", async () => {
    await using table = await setup();
    const { alice, bob } = table.sealed;
    await alice.broadcast(text("one"));
    const words: string[] = [];
    for await (const message of bob.messages()) {
      words.push(textOf(message));
      if (words.length === 2) break;
      await message.refuse("not now");
    }
    assert.deepEqual(words, ["one", "one"]);
    assert.deepEqual(table.refused.bob, []);
  });

  it("wants the key of every party, and keeps its own type of message", async () => {
    await using table = await setup();
    const { alice } = table.sealed;
    const identity = createIdentity();
    assert.throws(
      () => sealSession(alice, { identity, peers: new Map([["bob", identity.public]]) }),
      (error) => isSealError(error, "UNKNOWN_PEER") && error.partyId === "carol",
    );
    await assert.rejects(alice.send("nobody", text("one")), (error) =>
      isSealError(error, "UNKNOWN_PEER"),
    );
    await assert.rejects(
      alice.broadcast({ ...text("one"), type: "mpc-router/sealed/echo" }),
      (error) => isPartyError(error, "INVALID_FIELD"),
    );
    await assert.rejects(alice.send([], text("one")), (error) =>
      isPartyError(error, "INVALID_FIELD"),
    );
  });
});

describe("a router that lies in a sealed session", () => {
  it("is caught at every part of a message that it changes; the message fails, and the next is read", async () => {
    await using table = await setup();
    const { alice, bob } = table.sealed;
    const parts = [0, 1, 10, 30, 60, 120, 200, -90, -65, -1];
    table.meddle((message, recipient) => {
      const position = parts[message.roundNumber];
      if (recipient !== "bob" || position === undefined) return [message];
      const at = position < 0 ? message.payload.length + position : position;
      return [{ ...message, payload: changed(message.payload, at) }];
    });
    const ids: string[] = [];
    for (const round of parts.keys())
      ids.push(await alice.send("bob", text("x".repeat(80), round)));
    await alice.send("bob", text("untouched", 99));
    const [last] = await take(bob, 1);
    assert.ok(last);
    assert.equal(textOf(last), "untouched");
    assert.equal(table.refused.bob.length, parts.length);
    for (const error of table.refused.bob) {
      assert.ok(["TAMPERED", "MALFORMED", "UNKNOWN_PEER"].includes(error.reason), error.message);
    }
    for (const id of ids) {
      await until("the message has failed", async () => {
        const { deliveries } = await alice.messageStatus(id);
        return deliveries.every(({ status }) => status === "failed");
      });
    }
  });

  it("is caught when it delivers the same again as another message", async () => {
    await using table = await setup();
    table.meddle((message) => [message, { ...message, messageId: `${message.messageId}x` }]);
    await table.sealed.alice.send("bob", text("one"));
    await table.sealed.alice.send("bob", text("two"));
    assert.deepEqual((await take(table.sealed.bob, 2)).map(textOf), ["one", "two"]);
    const [error] = table.refused.bob;
    assert.ok(error?.reason === "REPLAYED" && error.partyId === "alice");
  });

  it("is caught when it shows a message in another place than it was sent for", async () => {
    await using table = await setup();
    const { alice, bob } = table.sealed;
    const claims: readonly Partial<MPCMessage>[] = [
      { fromParty: "carol" },
      { roundNumber: 9 },
      { messageType: "other" },
      { isBroadcast: true },
    ];
    table.meddle((message) => [{ ...message, ...claims[message.roundNumber] }]);
    for (const round of claims.keys()) await alice.send("bob", text("x", round));
    await alice.send("bob", text("untouched", 99));
    await take(bob, 1);
    assert.deepEqual(
      table.refused.bob.map(({ reason }) => reason),
      claims.map(() => "MISDIRECTED"),
    );
  });

  it("ends the loop by the error where nobody else hears of it, and the next loop goes on", async () => {
    await using table = await setup({ reports: false });
    const { alice, bob } = table.sealed;
    table.meddle((message) =>
      message.roundNumber === 1
        ? [{ ...message, payload: changed(message.payload, message.payload.length - 1) }]
        : [message],
    );
    const id = await alice.send("bob", text("one", 1));
    await alice.send("bob", text("two", 2));
    await assert.rejects(take(bob, 1), (error) => {
      assert.ok(isSealError(error, "TAMPERED"));
      assert.equal(error.messageId, id);
      return true;
    });
    assert.deepEqual((await take(bob, 1)).map(textOf), ["two"]);
  });
});

describe("confirming the broadcasts of a round", () => {
  it("succeeds for all when all saw the same, also while the next round comes in", async () => {
    await using table = await setup();
    for (const round of [1, 2]) {
      await Promise.all(
        names.map(async (name) => {
          await table.sealed[name].broadcast(text(`round ${round} of ${name}`, round));
          await table.sealed[name].confirmBroadcasts(round);
          const other = name === "alice" ? "bob" : "alice";
          await table.sealed[name].send(other, text(`after ${round} from ${name}`, round));
        }),
      );
    }
    const a = (await take(table.sealed.alice, 8)).map(textOf);
    assert.deepEqual(
      a.filter((word) => word.endsWith("bob")),
      ["round 1 of bob", "after 1 from bob", "round 2 of bob", "after 2 from bob"],
    );
    const b = (await take(table.sealed.bob, 6)).map(textOf);
    assert.deepEqual(
      b.filter((word) => word.endsWith("alice")),
      ["round 1 of alice", "after 1 from alice", "round 2 of alice", "after 2 from alice"],
    );
  });

  it("can be asked for within a loop, and twice", async () => {
    await using table = await setup();
    await Promise.all(
      names.map(async (name) => {
        const session = table.sealed[name];
        await session.broadcast(text(`of ${name}`));
        let count = 0;
        for await (const message of session.messages()) {
          assert.equal(message.round, 1);
          if (++count < 2) continue;
          await session.confirmBroadcasts(1);
          await session.confirmBroadcasts(1);
          break;
        }
      }),
    );
    assert.deepEqual(table.refused, { alice: [], bob: [], carol: [] });
  });

  it("names who was shown other broadcasts, and whose, when sender and router lie together", async () => {
    await using table = await setup();
    // Carol signs two broadcasts of the round. The router shows the second to Bob only, the first to Alice only.
    const seen = new Map<Name, number>();
    table.meddle((message, recipient) => {
      if (message.fromParty !== "carol" || message.messageType !== "text") return [message];
      const count = (seen.get(recipient) ?? 0) + 1;
      seen.set(recipient, count);
      return count === (recipient === "bob" ? 2 : 1) ? [message] : [];
    });
    await table.sealed.carol.broadcast(text("of carol"));
    await table.sealed.carol.broadcast(text("of carol, too"));
    await table.sealed.alice.broadcast(text("of alice"));
    await table.sealed.bob.broadcast(text("of bob"));
    await take(table.sealed.alice, 2);
    await take(table.sealed.bob, 2);
    const outcomes = await Promise.allSettled(
      names.map((name) => table.sealed[name].confirmBroadcasts(1)),
    );
    const found = outcomes.map((outcome) => {
      assert.ok(outcome.status === "rejected");
      assert.ok(isSealError(outcome.reason, "EQUIVOCATION"), String(outcome.reason));
      return outcome.reason.differences;
    });
    for (const differences of found) {
      for (const { senders } of differences) assert.ok(senders.includes("carol"));
    }
    const [a = [], b = []] = found;
    assert.ok(a.some(({ partyId }) => partyId === "bob" || partyId === "carol"));
    assert.ok(b.some(({ partyId }) => partyId === "alice" || partyId === "carol"));
  });

  it("asks for the broadcasts of those who have one in that round", async () => {
    await using table = await setup();
    await table.sealed.bob.broadcast(text("of the leader"));
    await Promise.all(
      names.map((name) => table.sealed[name].confirmBroadcasts(1, { senders: ["bob"] })),
    );
  });

  it("takes no broadcast that comes after it", async () => {
    await using table = await setup();
    await broadcastRound(table, 1);
    await Promise.all(names.map((name) => table.sealed[name].confirmBroadcasts(1)));
    await assert.rejects(table.sealed.alice.broadcast(text("late")), (error) =>
      isSealError(error, "LATE"),
    );
  });

  it("ends by the caller's signal, and when the session ends", async () => {
    await using table = await setup();
    const { alice, bob, carol } = table.sealed;
    const stop = new AbortController();
    const waiting = alice.confirmBroadcasts(1, { signal: stop.signal });
    const outcome = Promise.allSettled([waiting]);
    stop.abort();
    const [aborted] = await outcome;
    assert.ok(aborted?.status === "rejected" && isPartyError(aborted.reason, "ABORTED"));
    const ending = Promise.allSettled([bob.confirmBroadcasts(1)]);
    await alice.complete({ publicKey: new Uint8Array(32) });
    await assert.rejects(carol.complete({ publicKey: new Uint8Array(33) }), (error) =>
      isPartyError(error, "PUBLIC_KEY_MISMATCH"),
    );
    const [ended] = await ending;
    assert.ok(ended?.status === "rejected" && isPartyError(ended.reason, "SESSION_FAILED"));
  });
});
