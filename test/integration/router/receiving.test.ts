import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import type { MPCMessage } from "../../../gen/mpc/router/v1/message_router_pb.js";
import { fleetKinds, startFleet, type Fleet } from "../../support/fleet.ts";
import {
  join,
  openSession,
  read,
  refuses,
  type Reader,
  type TestSession,
} from "../../support/sessions.ts";
import { countStored } from "../../support/store.ts";
import { until } from "../../support/until.ts";

interface Setup {
  readonly session: TestSession;
  readonly a: string;
  readonly b: string;
  readonly c: string;
  route(to: string, payload?: Uint8Array): Promise<string>;
  subscribe(partyId: string): Reader<MPCMessage>;
  acknowledge(partyId: string, messageId: string, error?: string): Promise<string>;
  pending(partyId: string, afterTimestamp?: number): Promise<readonly MPCMessage[]>;
}

const ids = (messages: readonly MPCMessage[]): readonly string[] =>
  messages.map(({ messageId }) => messageId);

function setupOn(fleet: Fleet): (joining?: number) => Promise<Setup> {
  return async (joining = 3) => {
    const session = await openSession(fleet, { joining });
    const { sessionId } = session;
    const [a = "", b = "", c = ""] = session.parties;
    return {
      session,
      a,
      b,
      c,
      async route(to, payload = new Uint8Array([1])) {
        const call = { sessionId, fromParty: a, toParties: [to], payload };
        return (await fleet.router.routeMessage(call)).messageId;
      },
      subscribe: (partyId) =>
        read((signal) => fleet.router.subscribeMessages({ sessionId, partyId }, { signal })),
      async acknowledge(partyId, messageId, errorMessage) {
        const success = errorMessage === undefined;
        const call = {
          sessionId,
          partyId,
          messageId,
          success,
          ...(success ? {} : { errorMessage }),
        };
        return (await fleet.router.acknowledgeMessage(call)).message;
      },
      async pending(partyId, afterTimestamp = 0) {
        const call = { sessionId, partyId, afterTimestamp: BigInt(afterTimestamp) };
        return (await fleet.router.getPendingMessages(call)).messages;
      },
    };
  };
}

for (const kind of fleetKinds) {
  describe(`receiving by ${kind}`, () => {
    let fleet: Fleet;
    let setup: ReturnType<typeof setupOn>;
    before(async () => {
      fleet = await startFleet(kind, ["--ack-wait=1s"]);
      setup = setupOn(fleet);
    });
    after(() => fleet[Symbol.asyncDispose]());

    it("streams what was routed before the subscription, then what comes, in order", async () => {
      const test = await setup();
      const early = [await test.route(test.b), await test.route(test.b)];
      await using reader = test.subscribe(test.b);
      await reader.atLeast(2);
      const late = [await test.route(test.b), await test.route(test.b)];
      assert.deepEqual(ids(await reader.atLeast(4)), [...early, ...late]);
    });

    it("sends the headers of a stream before there is any message", async () => {
      const test = await setup();
      const { sessionId } = test.session;
      const controller = new AbortController();
      const headers = await new Promise<Headers>((resolve, reject) => {
        const stream = fleet.router.subscribeMessages(
          { sessionId, partyId: test.b },
          { signal: controller.signal, onHeader: resolve },
        );
        void stream[Symbol.asyncIterator]().next().catch(reject);
      });
      assert.match(headers.get("content-type") ?? "", /^application\//);
      controller.abort();
    });

    it("delivers an unacknowledged message again after the ack wait, with the same id", async () => {
      const test = await setup();
      await using reader = test.subscribe(test.b);
      const first = await test.route(test.b);
      const second = await test.route(test.b);
      await reader.atLeast(2);
      await test.acknowledge(test.b, second);
      assert.deepEqual(ids(await reader.atLeast(3)), [first, second, first]);
      await test.acknowledge(test.b, first);
      const { sessionId } = test.session;
      const { deliveries } = await fleet.router.getMessageStatus({ sessionId, messageId: first });
      assert.equal(deliveries[0]?.status, "acknowledged");
      assert.equal(deliveries[0].retryCount, 1);
    });

    it("gives a new stream everything unacknowledged at once, and nothing else", async () => {
      const test = await setup();
      const [one, two, three] = [
        await test.route(test.b),
        await test.route(test.b),
        await test.route(test.b),
      ];
      {
        await using reader = test.subscribe(test.b);
        await reader.atLeast(3);
        await test.acknowledge(test.b, two);
      }
      await using reader = test.subscribe(test.b);
      assert.deepEqual(ids(await reader.atLeast(2)), [one, three]);
    });

    it("lets the newest stream of a mailbox win, and ends the older one", async () => {
      const test = await setup();
      await using older = test.subscribe(test.b);
      const first = await test.route(test.b);
      await older.atLeast(1);
      await using newer = test.subscribe(test.b);
      await newer.atLeast(1);
      const error = ConnectError.from(await older.ended);
      assert.equal(Code[error.code], "Aborted");
      assert.match(error.rawMessage, /^SUPERSEDED: /);
      const second = await test.route(test.b);
      assert.deepEqual(ids(await newer.atLeast(2)), [first, second]);
    });

    it("ends a stream well when its session ends, after what it had not given", async () => {
      const test = await setup();
      const { sessionId } = test.session;
      await using reader = test.subscribe(test.b);
      const first = await test.route(test.b);
      await reader.atLeast(1);
      await fleet.coordinator.cancelSession({ sessionId, reason: "enough" });
      assert.equal(await reader.ended, undefined);
      assert.deepEqual(ids(reader.items), [first]);
      const { deliveries, allAcknowledged } = await fleet.router.getMessageStatus({
        sessionId,
        messageId: first,
      });
      assert.equal(deliveries[0]?.status, "failed");
      assert.equal(allAcknowledged, false);
      const again = await test.subscribe(test.b).ended;
      assert.match(ConnectError.from(again).rawMessage, /^SESSION_FAILED: /);
      assert.equal(await test.acknowledge(test.b, first), "acknowledged");
    });

    it("ends a stream when the session's time is over", async () => {
      const session = await openSession(fleet, { expiresInMs: 1_500 });
      const [, partyId = ""] = session.parties;
      const { sessionId } = session;
      await using reader = read((signal) =>
        fleet.router.subscribeMessages({ sessionId, partyId }, { signal }),
      );
      assert.equal(await reader.ended, undefined);
      const { status } = await fleet.router.getSessionStatus({ sessionId });
      assert.equal(status, "expired");
    });

    it("keeps a polled message until it is acknowledged, also beside a stream", async () => {
      const test = await setup();
      const messageId = await test.route(test.b);
      await using reader = test.subscribe(test.b);
      await reader.atLeast(1);
      assert.deepEqual(ids(await test.pending(test.b)), [messageId]);
      assert.deepEqual(ids(await test.pending(test.b)), [messageId]);
      assert.equal(await test.acknowledge(test.b, messageId), "acknowledged");
      assert.equal(await test.acknowledge(test.b, messageId), "already acknowledged");
      assert.deepEqual(await test.pending(test.b), []);
    });

    it("polls only what was created after the time given", async () => {
      const test = await setup();
      await test.route(test.b);
      const second = await test.route(test.b);
      const [first] = await test.pending(test.b);
      const createdAt = Number(first?.createdAt);
      assert.deepEqual(ids(await test.pending(test.b, createdAt)), [second]);
    });

    it("polls a hundred messages or four megabytes at a time, but always one", async () => {
      const test = await setup();
      const small: string[] = [];
      for (let index = 0; index < 101; index += 1) small.push(await test.route(test.b));
      assert.deepEqual(ids(await test.pending(test.b)), small.slice(0, 100));
      const large: string[] = [];
      const payload = new Uint8Array(1_000_000);
      for (let index = 0; index < 5; index += 1) large.push(await test.route(test.c, payload));
      assert.deepEqual(ids(await test.pending(test.c)), large.slice(0, 3));
    });

    it("waits for mail when the poll prefers to", async () => {
      const test = await setup();
      const { sessionId } = test.session;
      const call = { sessionId, partyId: test.b };
      const waiting = fleet.router.getPendingMessages(call, { headers: { Prefer: "wait=10" } });
      const messageId = await test.route(test.b);
      assert.deepEqual(ids((await waiting).messages), [messageId]);
      const empty = await fleet.router.getPendingMessages(
        { sessionId, partyId: test.c },
        { headers: { Prefer: "wait=1" } },
      );
      assert.deepEqual(empty.messages, []);
    });

    it("delivers a refused message again, and counts a refusal once per delivery", async () => {
      const test = await setup();
      await using reader = test.subscribe(test.b);
      const messageId = await test.route(test.b);
      await reader.atLeast(1);
      assert.equal(await test.acknowledge(test.b, messageId, "busy"), "refused");
      assert.equal(await test.acknowledge(test.b, messageId, "busy"), "refused");
      assert.deepEqual(ids(await test.pending(test.b)), [messageId]);
      await reader.atLeast(2);
      const { sessionId } = test.session;
      const { deliveries } = await fleet.router.getMessageStatus({ sessionId, messageId });
      assert.equal(deliveries[0]?.status, "delivered");
      assert.ok((deliveries[0]?.retryCount ?? 0) >= 1);
    });

    it("fails a message at the fifth refusal, and tells the sender", async () => {
      const test = await setup();
      const { sessionId } = test.session;
      await using events = read((signal) =>
        fleet.router.subscribeSessionEvents(
          { partyId: test.a, eventTypes: ["message_failed"] },
          { signal },
        ),
      );
      const messageId = await test.route(test.b);
      for (let refusal = 1; refusal <= 5; refusal += 1) {
        assert.deepEqual(ids(await test.pending(test.b)), [messageId], `before refusal ${refusal}`);
        const outcome = await test.acknowledge(test.b, messageId, "cannot");
        assert.equal(outcome, refusal < 5 ? "refused" : "failed");
      }
      assert.deepEqual(await test.pending(test.b), []);
      const status = await fleet.router.getMessageStatus({ sessionId, messageId });
      assert.equal(status.deliveries[0]?.status, "failed");
      const [event] = await events.atLeast(1);
      assert.deepEqual(event?.selectedParties, [test.a]);
      assert.match(event.eventId, new RegExp(`^[0-9a-f]{16}-message_failed-${messageId}-1$`));
      assert.equal(await test.acknowledge(test.b, messageId), "acknowledged");
      const later = await fleet.router.getMessageStatus({ sessionId, messageId });
      assert.equal(later.deliveries[0]?.status, "acknowledged");
    });

    it("fails a message at once when the refusal is permanent", async () => {
      const test = await setup();
      const messageId = await test.route(test.b);
      await test.pending(test.b);
      assert.equal(await test.acknowledge(test.b, messageId, "permanent: garbled"), "failed");
      assert.deepEqual(await test.pending(test.b), []);
    });

    it("changes nothing by a refusal after an acknowledgement", async () => {
      const test = await setup();
      const { sessionId } = test.session;
      const messageId = await test.route(test.b);
      await test.acknowledge(test.b, messageId);
      await test.acknowledge(test.b, messageId, "permanent: too late");
      const { deliveries, allAcknowledged } = await fleet.router.getMessageStatus({
        sessionId,
        messageId,
      });
      assert.equal(deliveries[0]?.status, "acknowledged");
      assert.equal(allAcknowledged, true);
    });

    it("shows each recipient's state, and all as acknowledged only when all are", async () => {
      const test = await setup();
      const { sessionId } = test.session;
      const { messageId } = await fleet.router.routeMessage({ sessionId, fromParty: test.a });
      const status = () => fleet.router.getMessageStatus({ sessionId, messageId });
      const states = async () => (await status()).deliveries.map((row) => row.status);
      assert.deepEqual(await states(), ["pending", "pending"]);
      await test.pending(test.b);
      assert.deepEqual(await states(), ["delivered", "pending"]);
      await test.acknowledge(test.b, messageId);
      assert.deepEqual(await states(), ["acknowledged", "pending"]);
      assert.equal((await status()).allAcknowledged, false);
      await test.acknowledge(test.c, messageId);
      const { deliveries, allAcknowledged } = await status();
      assert.equal(allAcknowledged, true);
      for (const row of deliveries) {
        assert.ok(row.deliveredAt > 0n && row.deliveredAt <= row.acknowledgedAt);
      }
      // The copies go a second later; what became of them is still known.
      await until("the settled copies are gone", async () => {
        const filter = `mpc.msg.*.${sessionId}.*`;
        return (await countStored(fleet.nats.url, { stream: "MPC_MSG", filter })) === 0;
      });
      assert.deepEqual(await states(), ["acknowledged", "acknowledged"]);
    });

    it("refuses who may not receive, acknowledge or ask", async () => {
      const test = await setup(2);
      const { sessionId } = test.session;
      const messageId = await test.route(test.b);
      const { router } = fleet;
      const box = { sessionId, partyId: test.c };
      await refuses(
        test.subscribe(test.c).ended.then(rethrow),
        Code.FailedPrecondition,
        "NOT_JOINED",
      );
      await refuses(router.getPendingMessages(box), Code.FailedPrecondition, "NOT_JOINED");
      const stranger = { sessionId, partyId: "stranger" };
      await refuses(router.getPendingMessages(stranger), Code.NotFound, "SESSION_NOT_FOUND");
      await refuses(
        router.getPendingMessages({ sessionId, partyId: test.b, afterTimestamp: -1n }),
        Code.InvalidArgument,
        "INVALID_FIELD",
      );
      await join(fleet, test.session, test.c);
      const acknowledge = (partyId: string, id: string) =>
        router.acknowledgeMessage({ sessionId, partyId, messageId: id, success: true });
      await refuses(acknowledge(test.c, messageId), Code.PermissionDenied, "NOT_A_RECIPIENT");
      await refuses(acknowledge(test.a, messageId), Code.PermissionDenied, "NOT_A_RECIPIENT");
      await refuses(acknowledge("stranger", messageId), Code.NotFound, "SESSION_NOT_FOUND");
      await refuses(acknowledge(test.b, "unknown"), Code.NotFound, "MESSAGE_NOT_FOUND");
      await refuses(
        router.acknowledgeMessage({
          sessionId,
          partyId: test.b,
          messageId,
          errorMessage: "x".repeat(1_025),
        }),
        Code.InvalidArgument,
        "INVALID_FIELD",
      );
      await refuses(
        router.getMessageStatus({ sessionId, messageId: "unknown" }),
        Code.NotFound,
        "MESSAGE_NOT_FOUND",
      );
      await refuses(
        router.getMessageStatus({ sessionId: "nowhere", messageId }),
        Code.NotFound,
        "SESSION_NOT_FOUND",
      );
    });
  });
}

function rethrow(error: unknown): never {
  throw error;
}
