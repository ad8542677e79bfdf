import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  isPartyError,
  type Party,
  type PartySession,
  type ReceivedMessage,
} from "../../../src/party/index.ts";
import { startFleet } from "../../support/fleet.ts";
import {
  cancelSession,
  connectParties,
  joinAll,
  orderSession,
  partyProtocols,
  type PartySeat,
} from "../../support/parties.ts";
import { until } from "../../support/until.ts";

interface Table extends AsyncDisposable {
  readonly url: string;
  readonly alice: Party;
  readonly bob: Party;
}

async function setup(seat: Omit<PartySeat, "url"> = { protocol: "Connect" }): Promise<Table> {
  await using resources = new AsyncDisposableStack();
  const fleet = resources.use(await startFleet("Connect JSON"));
  const [url = ""] = fleet.urls;
  const [alice, bob] = await connectParties([
    { ...seat, url },
    { ...seat, url },
  ]);
  assert.ok(alice && bob);
  resources.use(alice);
  resources.use(bob);
  const held = resources.move();
  return { url, alice, bob, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

async function setupSession(
  seat?: Omit<PartySeat, "url">,
): Promise<Table & { a: PartySession; b: PartySession }> {
  const table = await setup(seat);
  const [a, b] = await joinAll(table.url, [table.alice, table.bob], { ready: true });
  assert.ok(a && b);
  return { ...table, a, b };
}

const publicKey: Uint8Array = new Uint8Array(32).fill(9);

function text(payload: string, round = 1): { round: number; type: string; payload: Uint8Array } {
  return { round, type: "text", payload: Buffer.from(payload) };
}

/** Takes so many messages and leaves the loop. */
async function take(
  session: PartySession,
  count: number,
  options: Parameters<PartySession["messages"]>[0] = {},
): Promise<readonly ReceivedMessage[]> {
  const taken: ReceivedMessage[] = [];
  for await (const message of session.messages(options)) {
    taken.push(message);
    if (taken.length === count) break;
  }
  return taken;
}

function textsOf(messages: readonly ReceivedMessage[]): readonly string[] {
  return messages.map(({ payload }) => Buffer.from(payload).toString());
}

/** A delivery is written down a moment after it was made. */
async function becomes(session: PartySession, messageId: string, status: string): Promise<void> {
  await until(`the message is ${status}`, async () => {
    return (await deliveryOf(session, messageId)) === status;
  });
}

async function deliveryOf(session: PartySession, messageId: string): Promise<string> {
  const { deliveries } = await session.messageStatus(messageId);
  return deliveries.map(({ status }) => status).join();
}

for (const protocol of partyProtocols) {
  describe(`a session over ${protocol}`, () => {
    it("goes from the invitation to its end", async () => {
      await using table = await setup({ protocol });
      const { url, alice, bob } = table;
      const { sessionId } = await orderSession(url, [bob, alice]);
      const play = async (party: Party): Promise<readonly string[]> => {
        const invitation = await party.nextSession();
        assert.equal(invitation.sessionId, sessionId);
        assert.equal(invitation.type, "keygen");
        assert.deepEqual(invitation.parties, [bob.partyId, alice.partyId]);
        await using session = await party.join(invitation);
        assert.equal(session.partyIndex, party === bob ? 0 : 1);
        assert.deepEqual(
          session.parties.map(({ partyId }) => partyId),
          [bob.partyId, alice.partyId],
        );
        await session.ready();
        await session.broadcast(text(`${party.partyId} to all`));
        const other = party === bob ? alice : bob;
        await session.send(other.partyId, text(`to ${other.partyId}`, 2));
        const taken = await take(session, 2);
        assert.deepEqual(
          taken.map(({ from, round, isBroadcast }) => [from, round, isBroadcast]),
          [
            [other.partyId, 1, true],
            [other.partyId, 2, false],
          ],
        );
        await session.complete({ publicKey });
        assert.deepEqual(await session.ended, { status: "completed" });
        return textsOf(taken);
      };
      const [a, b] = await Promise.all([play(alice), play(bob)]);
      assert.deepEqual(a, [`${bob.partyId} to all`, `to ${alice.partyId}`]);
      assert.deepEqual(b, [`${alice.partyId} to all`, `to ${bob.partyId}`]);
    });
  });
}

describe("messages of a session", () => {
  it("are acknowledged when the next one is asked for, not before", async () => {
    await using table = await setupSession();
    const { alice, a, b } = table;
    const first = await b.send(alice.partyId, text("one"));
    const second = await b.send(alice.partyId, text("two"));
    const reading = a.messages();
    await reading.next();
    await becomes(b, first, "delivered");
    await reading.next();
    await becomes(b, first, "acknowledged");
    await becomes(b, second, "delivered");
    await reading.return?.();
  });

  it("are acknowledged before a result is reported", async () => {
    await using table = await setupSession();
    const { alice, a, b } = table;
    const id = await b.send(alice.partyId, text("one"));
    await take(a, 1);
    await a.complete({ publicKey });
    assert.equal(await deliveryOf(b, id), "acknowledged");
  });

  it("stay unacknowledged when the loop is left by an error", async () => {
    await using table = await setupSession();
    const { alice, a, b } = table;
    const id = await b.send(alice.partyId, text("one"));
    const failing = (async () => {
      for await (const message of a.messages()) throw new Error(`cannot use ${message.type}`);
    })();
    await assert.rejects(failing, /cannot use text/);
    await becomes(b, id, "delivered");
  });

  it("are acknowledged by hand where that is asked for, in any order", async () => {
    await using table = await setupSession();
    const { alice, a, b } = table;
    const ids: string[] = [];
    for (const word of ["one", "two", "three"]) ids.push(await b.send(alice.partyId, text(word)));
    const taken = await take(a, 3, { acknowledge: "by-hand" });
    for (const id of ids) await becomes(b, id, "delivered");
    for (const message of taken.toReversed()) await message.acknowledge();
    for (const id of ids) assert.equal(await deliveryOf(b, id), "acknowledged");
  });

  it("go on where the last loop was left, each once", async () => {
    await using table = await setupSession();
    const { alice, a, b } = table;
    for (const word of ["one", "two", "three"]) await b.send(alice.partyId, text(word));
    assert.deepEqual(textsOf(await take(a, 1)), ["one"]);
    assert.deepEqual(textsOf(await take(a, 2)), ["two", "three"]);
  });

  it("come again after a refusal, and fail at once after a permanent one", async () => {
    await using table = await setupSession();
    const { alice, bob, a, b } = table;
    const failed = bob.events({ types: ["message_failed"] }).next();
    const id = await b.send(alice.partyId, text("one"));
    const words: string[] = [];
    for await (const message of a.messages()) {
      words.push(...textsOf([message]));
      if (words.length === 1) await message.refuse("not now");
      if (words.length < 2) continue;
      await message.refuse("no curve point", { permanent: true });
      break;
    }
    assert.deepEqual(words, ["one", "one"]);
    assert.equal(await deliveryOf(b, id), "failed");
    assert.equal((await failed).value?.sessionId, a.sessionId);
  });

  it("are read by one loop at a time", async () => {
    await using table = await setupSession();
    const { alice, a, b } = table;
    const first = a.messages();
    const waiting = first.next();
    await assert.rejects(a.messages().next(), (error) => isPartyError(error, "ALREADY_READING"));
    await b.send(alice.partyId, text("one"));
    assert.equal((await waiting).done, false);
    await first.return?.();
  });

  it("end when the session has ended", async () => {
    await using table = await setupSession();
    const { url, a, b } = table;
    const reading = take(a, 99);
    await b.status();
    await cancelSession(url, a.sessionId);
    assert.deepEqual(await reading, []);
    assert.deepEqual(await a.ended, { status: "failed" });
    assert.deepEqual(await b.ended, { status: "failed" });
  });

  it("wait for a party that was not there when they were sent", async () => {
    await using table = await setup();
    const { url, alice, bob } = table;
    const { sessionId, joinTokens } = await orderSession(url, [alice, bob]);
    const a = await alice.join({ sessionId, joinToken: joinTokens[alice.partyId] ?? "" });
    await a.broadcast(text("early"));
    const b = await bob.join({ sessionId, joinToken: joinTokens[bob.partyId] ?? "" });
    assert.deepEqual(textsOf(await take(b, 1)), ["early"]);
  });
});

describe("a party", () => {
  it("is handed each session once, and none that has ended", async () => {
    await using table = await setup();
    const { url, alice, bob } = table;
    const gone = await orderSession(url, [alice, bob]);
    const first = await orderSession(url, [alice, bob]);
    await cancelSession(url, gone.sessionId);
    assert.equal((await alice.nextSession()).sessionId, first.sessionId);
    const second = await orderSession(url, [alice, bob]);
    for await (const { sessionId } of alice.sessions()) {
      assert.equal(sessionId, second.sessionId);
      break;
    }
    const [third, fourth] = [
      await orderSession(url, [alice, bob]),
      await orderSession(url, [alice, bob]),
    ];
    const wanted = await alice.nextSession({ sessionId: fourth.sessionId });
    assert.equal(wanted.sessionId, fourth.sessionId);
    assert.equal((await alice.nextSession()).sessionId, third.sessionId);
  });

  it("hears of events, late readers too", async () => {
    await using table = await setup();
    const { url, alice, bob } = table;
    const { sessionId, joinTokens } = await orderSession(url, [alice, bob]);
    await alice.nextSession();
    await bob.join({ sessionId, joinToken: joinTokens[bob.partyId] ?? "" });
    const heard: string[] = [];
    for await (const event of alice.events()) {
      heard.push(event.type);
      if (event.type === "party_joined") break;
    }
    assert.deepEqual(heard, ["session_created", "party_joined"]);
  });

  it("is refused with the router's reasons", async () => {
    await using table = await setupSession();
    const { url, alice, bob, a } = table;
    const { sessionId } = await orderSession(url, [alice, bob]);
    await assert.rejects(alice.join({ sessionId, joinToken: "no" }), (error) => {
      assert.ok(isPartyError(error, "JOIN_DENIED"));
      assert.equal(error.isFinal, true);
      return true;
    });
    await assert.rejects(alice.join({ sessionId: "no such", joinToken: "no" }), (error) =>
      isPartyError(error, "INVALID_ID"),
    );
    await assert.rejects(a.send("nobody", text("one")), (error) =>
      isPartyError(error, "UNKNOWN_RECIPIENT"),
    );
    await assert.rejects(a.messageStatus("unknown"), (error) =>
      isPartyError(error, "MESSAGE_NOT_FOUND"),
    );
  });

  it("never takes an empty list of recipients for a broadcast, nor sends what has no wire form", async () => {
    await using table = await setupSession();
    const { alice, a } = table;
    for (const sending of [
      a.send([], text("one")),
      a.send(alice.partyId, text("one", -1)),
      a.broadcast(text("one", 1.5)),
      a.broadcast({ round: 1, type: "text", payload: "text" as unknown as Uint8Array }),
    ]) {
      await assert.rejects(sending, (error) => isPartyError(error, "INVALID_FIELD"));
    }
  });

  it("learns that parties disagree", async () => {
    await using table = await setupSession();
    const { a, b } = table;
    assert.deepEqual(await a.complete({ publicKey }), { allCompleted: false });
    const other = b.complete({ publicKey: new Uint8Array(32) });
    await assert.rejects(other, (error) => isPartyError(error, "PUBLIC_KEY_MISMATCH"));
    assert.deepEqual(await a.ended, { status: "failed" });
    assert.deepEqual(await b.ended, { status: "failed" });
    await assert.rejects(a.broadcast(text("late")), (error) =>
      isPartyError(error, "SESSION_FAILED"),
    );
  });

  it("does not wait for a start that cannot come", async () => {
    await using table = await setup();
    const { url, alice, bob } = table;
    const { sessionId, joinTokens } = await orderSession(url, [alice, bob]);
    const a = await alice.join({ sessionId, joinToken: joinTokens[alice.partyId] ?? "" });
    const starting = a.ready();
    await cancelSession(url, sessionId);
    await assert.rejects(starting, (error) => isPartyError(error, "SESSION_FAILED"));
  });

  it("comes back into a session that has started", async () => {
    await using table = await setupSession();
    const { url, alice, bob, a, b } = table;
    await b.send(alice.partyId, text("one"));
    await take(a, 1);
    await alice.close();
    const [again] = await connectParties([{ url, protocol: "gRPC", partyId: alice.partyId }]);
    assert.ok(again);
    await using back = again;
    const session = await back.join(await back.nextSession());
    await session.ready();
    assert.deepEqual(textsOf(await take(session, 1)), ["one"]);
    await session.send(bob.partyId, text("two"));
    assert.deepEqual(textsOf(await take(b, 1)), ["two"]);
  });

  it("counts what is pending", async () => {
    await using table = await setupSession();
    const { alice, b } = table;
    await b.send(alice.partyId, text("one"));
    const { pendingMessages, serverTimestamp } = await alice.heartbeat();
    assert.equal(pendingMessages, 1);
    assert.ok(Math.abs(serverTimestamp - Date.now()) < 60_000);
  });
});

describe("the turns of events and messages", () => {
  it("let a session start whose messages are read already", async () => {
    await using table = await setup();
    const { url, alice, bob } = table;
    const [a, b] = await joinAll(url, [alice, bob]);
    assert.ok(a && b);
    const reading = take(a, 1);
    await b.send(alice.partyId, text("early"));
    assert.deepEqual(textsOf(await reading), ["early"]);
    const more = take(a, 1);
    await Promise.all([a.ready(), b.ready()]);
    await b.send(alice.partyId, text("late"));
    assert.deepEqual(textsOf(await more), ["late"]);
  });

  it("let a loop wait for the start that was asked for before it", async () => {
    await using table = await setup();
    const { url, alice, bob } = table;
    const [a, b] = await joinAll(url, [alice, bob]);
    assert.ok(a && b);
    const starting = a.ready();
    const reading = take(a, 1);
    await b.ready();
    await starting;
    await b.send(alice.partyId, text("one"));
    assert.deepEqual(textsOf(await reading), ["one"]);
  });
});
