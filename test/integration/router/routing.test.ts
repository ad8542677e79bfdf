import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { fleetKinds, startFleet, type Fleet } from "../../support/fleet.ts";
import { until } from "../../support/until.ts";
import { join, openSession, read, refuses, type TestSession } from "../../support/sessions.ts";

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

interface Setup {
  readonly fleet: Fleet;
  readonly session: TestSession;
  readonly a: string;
  readonly b: string;
  readonly c: string;
}

/** Ten calls in a row are refused, so that each instance was most likely asked. */
async function endIsKnown(fleet: Fleet, { session, a }: Setup): Promise<boolean> {
  const call = { sessionId: session.sessionId, fromParty: a };
  const calls = Array.from({ length: 10 }, () =>
    fleet.router.routeMessage(call).then(
      () => false,
      () => true,
    ),
  );
  return (await Promise.all(calls)).every(Boolean);
}

for (const kind of fleetKinds) {
  describe(`RouteMessage by ${kind}`, () => {
    let fleet: Fleet;
    before(async () => {
      fleet = await startFleet(kind, ["--mailbox-max-messages=20"]);
    });
    after(() => fleet[Symbol.asyncDispose]());

    const setup = async (joining = 3): Promise<Setup> => {
      const session = await openSession(fleet, { joining });
      const [a = "", b = "", c = ""] = session.parties;
      return { fleet, session, a, b, c };
    };
    const route = (
      { session, a }: Setup,
      more: object = {},
      headers: Record<string, string> = {},
    ) =>
      fleet.router.routeMessage(
        {
          sessionId: session.sessionId,
          fromParty: a,
          roundNumber: 1,
          messageType: "round-1",
          payload: text("hello"),
          ...more,
        },
        { headers },
      );
    const pending = async ({ session }: Setup, partyId: string, afterTimestamp = 0n) => {
      const { sessionId } = session;
      const answer = await fleet.router.getPendingMessages({ sessionId, partyId, afterTimestamp });
      return answer.messages;
    };

    it("gives one recipient the message, whole", async () => {
      const test = await setup();
      const { success, messageId } = await route(test, { toParties: [test.b] });
      assert.equal(success, true);
      assert.match(messageId, /^[0-9a-f]{32}$/);
      const [message, ...others] = await pending(test, test.b);
      assert.deepEqual(others, []);
      assert.ok(message !== undefined);
      assert.equal(message.messageId, messageId);
      assert.equal(message.sessionId, test.session.sessionId);
      assert.equal(message.fromParty, test.a);
      assert.equal(message.isBroadcast, false);
      assert.equal(message.roundNumber, 1);
      assert.equal(message.messageType, "round-1");
      assert.deepEqual(message.payload, text("hello"));
      assert.ok(Math.abs(Number(message.createdAt) - Date.now()) < 5_000);
      assert.deepEqual(await pending(test, test.c), []);
    });

    it("broadcasts to everybody but the sender, also to those who join later", async () => {
      const test = await setup(2);
      const { messageId } = await route(test, { toParties: [] });
      const [at_b] = await pending(test, test.b);
      assert.equal(at_b?.messageId, messageId);
      assert.equal(at_b.isBroadcast, true);
      await join(fleet, test.session, test.c);
      const [at_c] = await pending(test, test.c);
      assert.equal(at_c?.messageId, messageId);
      assert.equal(at_c.createdAt, at_b.createdAt);
      assert.deepEqual(await pending(test, test.a), []);
    });

    it("calls a list of all parties no broadcast, and collapses duplicates", async () => {
      const test = await setup();
      await route(test, { toParties: [test.b, test.c, test.b] });
      const [message, ...others] = await pending(test, test.b);
      assert.equal(message?.isBroadcast, false);
      assert.deepEqual(others, []);
    });

    it("takes an empty payload and any text as type", async () => {
      const test = await setup();
      const messageType = `tab\t"quote" é \u2028 ${"x".repeat(200)}`;
      await route(test, { toParties: [test.b], payload: new Uint8Array(), messageType });
      const [message] = await pending(test, test.b);
      assert.equal(message?.payload.length, 0);
      assert.equal(message.messageType, messageType);
    });

    it("takes a payload of the limit and refuses one byte more", async () => {
      const test = await setup();
      await route(test, { toParties: [test.b], payload: new Uint8Array(1_048_576) });
      assert.equal((await pending(test, test.b))[0]?.payload.length, 1_048_576);
      await refuses(
        route(test, { toParties: [test.b], payload: new Uint8Array(1_048_577) }),
        Code.ResourceExhausted,
        "PAYLOAD_TOO_LARGE",
      );
      assert.equal((await pending(test, test.b)).length, 1);
    });

    it("stores nothing of what it refuses", async () => {
      const test = await setup(2);
      const stranger = `${test.a}-stranger`;
      const invalid = Code.InvalidArgument;
      await refuses(route(test, { toParties: [test.b, stranger] }), invalid, "UNKNOWN_RECIPIENT");
      await refuses(route(test, { toParties: [test.b, test.a] }), invalid, "UNKNOWN_RECIPIENT");
      await refuses(route(test, { roundNumber: -1 }), invalid, "INVALID_FIELD");
      await refuses(route(test, { messageType: "é".repeat(129) }), invalid, "INVALID_FIELD");
      await refuses(route(test, { toParties: ["*"] }), invalid, "INVALID_ID");
      await refuses(
        route(test, {}, { "Idempotency-Key": "x".repeat(129) }),
        invalid,
        "INVALID_FIELD",
      );
      await refuses(route(test, { fromParty: test.c }), Code.FailedPrecondition, "NOT_JOINED");
      await refuses(route(test, { fromParty: stranger }), Code.NotFound, "SESSION_NOT_FOUND");
      await refuses(route(test, { sessionId: "nowhere" }), Code.NotFound, "SESSION_NOT_FOUND");
      assert.deepEqual(await pending(test, test.b), []);
    });

    it("gives a repeat with the same idempotency key the same id and delivers once", async () => {
      const test = await setup();
      const headers = { "Idempotency-Key": "key 1" };
      const first = await route(test, {}, headers);
      const again = await Promise.all([route(test, {}, headers), route(test, {}, headers)]);
      for (const { messageId } of again) assert.equal(messageId, first.messageId);
      assert.equal((await pending(test, test.b)).length, 1);
      const { sessionId } = test.session;
      for (const partyId of [test.b, test.c]) {
        const { messageId } = first;
        await fleet.router.acknowledgeMessage({ sessionId, partyId, messageId, success: true });
      }
      assert.equal((await route(test, {}, headers)).messageId, first.messageId);
      assert.deepEqual(await pending(test, test.b), []);
      const other = await route(test, {}, { "Idempotency-Key": "key 2" });
      assert.notEqual(other.messageId, first.messageId);
    });

    it("refuses an idempotency key with other content or other recipients", async () => {
      const test = await setup();
      const headers = { "Idempotency-Key": "key" };
      await route(test, {}, headers);
      const changes = [{ payload: text("other") }, { toParties: [test.b] }, { roundNumber: 2 }];
      for (const change of changes) {
        await refuses(route(test, change, headers), Code.AlreadyExists, "IDEMPOTENCY_KEY_REUSED");
      }
      const fromOther = await route(test, { fromParty: test.b, payload: text("other") }, headers);
      assert.match(fromOther.messageId, /^[0-9a-f]{32}$/);
      assert.equal((await pending(test, test.b)).length, 1);
    });

    it("keeps the order of calls made one after another", async () => {
      const test = await setup();
      const ids: string[] = [];
      for (let index = 0; index < 15; index += 1) {
        ids.push((await route(test, { toParties: [test.b] })).messageId);
      }
      assert.deepEqual(
        (await pending(test, test.b)).map(({ messageId }) => messageId),
        ids,
      );
      await using reader = read((signal) =>
        fleet.router.subscribeMessages(
          { sessionId: test.session.sessionId, partyId: test.b },
          { signal },
        ),
      );
      const delivered = await reader.atLeast(15);
      assert.deepEqual(
        delivered.map(({ messageId }) => messageId),
        ids,
      );
    });

    it("refuses mail for a full mailbox until something is acknowledged", async () => {
      const test = await setup();
      for (let index = 0; index < 20; index += 1) await route(test, { toParties: [test.b] });
      const error = await refuses(
        (async () => {
          // A tenth more may pass before it is noticed.
          for (let index = 0; index < 3; index += 1) await route(test, { toParties: [test.b] });
        })(),
        Code.ResourceExhausted,
        "MAILBOX_FULL",
      );
      assert.match(error.rawMessage, new RegExp(test.b));
      await route(test, { toParties: [test.c] });
      const { sessionId } = test.session;
      for (const { messageId } of await pending(test, test.b)) {
        await fleet.router.acknowledgeMessage({
          sessionId,
          partyId: test.b,
          messageId,
          success: true,
        });
      }
      await until("the mailbox takes mail again", () =>
        route(test, { toParties: [test.b] }).then(
          () => true,
          () => false,
        ),
      );
    });

    it("refuses a session that has ended", async () => {
      const test = await setup();
      const { sessionId } = test.session;
      await fleet.coordinator.cancelSession({ sessionId, reason: "enough" });
      // Another instance may learn of the end up to a second late.
      await until("the session's end is known everywhere", () => endIsKnown(fleet, test), 1_000);
      await refuses(route(test), Code.FailedPrecondition, "SESSION_FAILED");
    });
  });
}
