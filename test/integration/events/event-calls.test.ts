import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type {
  PublishSessionEventRequestSchema,
  SessionEvent,
} from "../../../gen/mpc/router/v1/message_router_pb.js";
import { fleetKinds, startFleet, type Fleet } from "../../support/fleet.ts";
import { join, openSession, read, refuses, type Reader } from "../../support/sessions.ts";

type Publication = NonNullable<MessageInitShape<typeof PublishSessionEventRequestSchema>["event"]>;

interface Subscription {
  readonly eventTypes?: string[];
  readonly headers?: Record<string, string>;
}

/** Resolves when the stream is open: from then on it misses nothing. */
async function subscribe(
  fleet: Fleet,
  partyId: string,
  { eventTypes = [], headers = {} }: Subscription = {},
): Promise<Reader<SessionEvent>> {
  const { promise: opened, resolve: onHeader } = Promise.withResolvers<unknown>();
  const reader = read((signal) =>
    fleet.router.subscribeSessionEvents({ partyId, eventTypes }, { signal, headers, onHeader }),
  );
  await opened;
  return reader;
}

/** Rejects with what ended the stream before it gave anything. */
async function refusalOf(subscribing: Promise<Reader<SessionEvent>>): Promise<never> {
  const reader = await subscribing;
  const error = await reader.ended;
  assert.deepEqual(reader.items, []);
  throw error;
}

async function registered(fleet: Fleet, count: number): Promise<string[]> {
  const parties = Array.from({ length: count }, () => `p-${randomUUID()}`);
  for (const partyId of parties) {
    await fleet.router.registerParty({ partyId, partyRole: "persistent", version: "1" });
  }
  return parties;
}

function keygen(parties: readonly string[], changes: Publication = {}): Publication {
  const id = randomUUID();
  return {
    eventId: `e-${id}`,
    eventType: "session_created",
    sessionId: `s-${id}`,
    thresholdN: parties.length,
    thresholdT: 2,
    selectedParties: [...parties],
    joinTokens: Object.fromEntries(parties.map((partyId) => [partyId, `token of ${partyId}`])),
    expiresAt: BigInt(Date.now() + 60_000),
    ...changes,
  };
}

function typesOf(events: readonly SessionEvent[], sessionId: string | undefined): string[] {
  return events.filter((e) => e.sessionId === sessionId).map((e) => e.eventType);
}

for (const kind of fleetKinds) {
  describe(`session events by ${kind}`, () => {
    let fleet: Fleet;
    before(async () => {
      fleet = await startFleet(kind);
    });
    after(() => fleet[Symbol.asyncDispose]());

    it("bring each party its own token, live and replayed, and only as long as the session lives", async () => {
      const parties = await registered(fleet, 3);
      const [a = "", b = "", c = ""] = parties;
      await using early = await subscribe(fleet, a);
      const event = keygen(parties);
      const published = await fleet.router.publishSessionEvent({ event });
      assert.deepEqual([published.success, published.subscriberCount], [true, 1]);
      await using late = await subscribe(fleet, b);
      const [own] = await early.atLeast(1);
      const [replayed] = await late.atLeast(1);
      assert.deepEqual(own?.joinTokens, { [a]: `token of ${a}` });
      assert.deepEqual(replayed?.joinTokens, { [b]: `token of ${b}` });
      assert.equal(own?.eventId, event.eventId);
      assert.equal(own?.expiresAt, event.expiresAt);
      assert.deepEqual(own?.selectedParties, parties);
      assert.equal(own?.delegateUserShare, undefined);
      const failed = { ...event, eventId: `${event.eventId}-f`, eventType: "session_failed" };
      await fleet.router.publishSessionEvent({ event: failed });
      await early.atLeast(2);
      const marker = { eventType: "custom", sessionId: "none", selectedParties: [c] };
      await fleet.router.publishSessionEvent({ event: { ...marker, eventId: `m-${c}` } });
      await using ended = await subscribe(fleet, c, { headers: { "Last-Event-ID": "unknown" } });
      const [terminal] = await ended.atLeast(1);
      assert.equal(terminal?.eventType, "session_failed");
      assert.deepEqual(terminal?.joinTokens, {});
    });

    it("follow a session of an outside coordinator through the contract's calls alone", async () => {
      const parties = await registered(fleet, 2);
      const [a = "", b = ""] = parties;
      const event = keygen(parties);
      const { sessionId = "" } = event;
      await fleet.router.publishSessionEvent({ event });
      await fleet.router.publishSessionEvent({ event });
      await using reader = await subscribe(fleet, a);
      const tokens = { [a]: `token of ${a}`, [b]: `token of ${b}` };
      const session = { sessionId, parties, tokens };
      for (const partyId of parties) await join(fleet, session, partyId);
      for (const partyId of parties) await fleet.router.markPartyReady({ sessionId, partyId });
      const publicKey = new Uint8Array(33);
      for (const partyId of parties) {
        await fleet.router.reportCompletion({ sessionId, partyId, publicKey });
      }
      const events = await reader.atLeast(9);
      assert.deepEqual(typesOf(events, sessionId), [
        "session_created",
        "party_joined",
        "party_joined",
        "party_ready",
        "party_ready",
        "session_started",
        "party_completed",
        "party_completed",
        "session_completed",
      ]);
      assert.equal(new Set(events.map(({ eventId }) => eventId)).size, 9);
    });

    it("give a signing session the indexes of the keygen session named in the metadata", async () => {
      const parties = await registered(fleet, 3);
      const first = keygen(parties);
      await fleet.router.publishSessionEvent({ event: first });
      const sessionId = first.sessionId ?? "";
      const tokens = Object.fromEntries(parties.map((id) => [id, `token of ${id}`]));
      for (const partyId of parties) await join(fleet, { sessionId, parties, tokens }, partyId);
      for (const partyId of parties) await fleet.router.markPartyReady({ sessionId, partyId });
      for (const partyId of parties) {
        await fleet.router.reportCompletion({ sessionId, partyId, publicKey: new Uint8Array(33) });
      }
      const signers = [parties[2] ?? "", parties[0] ?? ""];
      const event = keygen(signers, { thresholdN: 3, messageHash: new Uint8Array(32) });
      const headers = { "Keygen-Session-Id": sessionId };
      await fleet.router.publishSessionEvent({ event }, { headers });
      const status = await fleet.router.getSessionStatus({ sessionId: event.sessionId ?? "" });
      assert.deepEqual(
        status.participants.map(({ partyId, partyIndex }) => [partyId, partyIndex]),
        [
          [parties[2], 2],
          [parties[0], 0],
        ],
      );
      const other = keygen(signers, { thresholdN: 3, messageHash: new Uint8Array(32) });
      const unknown = { headers: { "Keygen-Session-Id": "unknown" } };
      await refuses(
        fleet.router.publishSessionEvent({ event: other }, unknown),
        Code.FailedPrecondition,
        "KEYGEN_NOT_COMPLETED",
      );
    });

    it("go on after the event named by Last-Event-ID, on whatever stream", async () => {
      const [a = ""] = await registered(fleet, 1);
      const custom = { eventType: "custom", sessionId: `s-${a}`, selectedParties: [a] };
      for (const n of [1, 2, 3]) {
        await fleet.router.publishSessionEvent({ event: { ...custom, eventId: `${a}-${n}` } });
      }
      const headers = { "Last-Event-ID": `${a}-1` };
      await using first = await subscribe(fleet, a, { headers });
      await using second = await subscribe(fleet, a, { headers, eventTypes: ["custom", "other"] });
      for (const reader of [first, second]) {
        const events = await reader.atLeast(2);
        assert.deepEqual(
          events.map(({ eventId }) => eventId),
          [`${a}-2`, `${a}-3`],
        );
      }
    });

    it("are refused to who is not registered and with bad ids", async () => {
      const [a = ""] = await registered(fleet, 1);
      const open = (partyId: string, more: Subscription = {}) =>
        refusalOf(subscribe(fleet, partyId, more));
      const stranger = open(`stranger-${a}`);
      await refuses(stranger, Code.FailedPrecondition, "NOT_REGISTERED");
      await refuses(open("a.b"), Code.InvalidArgument, "INVALID_ID");
      await refuses(open(a, { eventTypes: ["*"] }), Code.InvalidArgument, "INVALID_ID");
      const headers = { "Last-Event-ID": "a.*" };
      await refuses(open(a, { headers }), Code.InvalidArgument, "INVALID_ID");
    });

    it("are refused where the event is missing, malformed, or not what its session can be", async () => {
      const parties = await registered(fleet, 2);
      const { router } = fleet;
      await refuses(router.publishSessionEvent({}), Code.InvalidArgument, "INVALID_FIELD");
      const bad: [Publication, Code, string][] = [
        [{ eventId: "a b" }, Code.InvalidArgument, "INVALID_ID"],
        [{ eventType: "" }, Code.InvalidArgument, "INVALID_ID"],
        [{ sessionId: "" }, Code.InvalidArgument, "INVALID_ID"],
        [{ selectedParties: [parties[0] ?? "", ""] }, Code.InvalidArgument, "INVALID_ID"],
        [{ thresholdT: 3 }, Code.InvalidArgument, "INVALID_FIELD"],
        [{ joinTokens: {} }, Code.InvalidArgument, "INVALID_FIELD"],
        [{ selectedParties: parties.slice(1) }, Code.InvalidArgument, "INVALID_FIELD"],
        [{ messageHash: new Uint8Array(5) }, Code.InvalidArgument, "INVALID_FIELD"],
        [{ createdAt: -1n }, Code.InvalidArgument, "INVALID_FIELD"],
        [{ createdAt: 2n ** 62n }, Code.InvalidArgument, "INVALID_FIELD"],
      ];
      for (const [changes, code, reason] of bad) {
        const event = keygen(parties, changes);
        await refuses(router.publishSessionEvent({ event }), code, reason);
        const sessionId = event.sessionId === "" ? "none" : (event.sessionId ?? "");
        await refuses(router.getSessionStatus({ sessionId }), Code.NotFound, "SESSION_NOT_FOUND");
      }
      const event = keygen(parties);
      await router.publishSessionEvent({ event });
      for (const other of [
        { ...event, thresholdT: 1 },
        { ...event, eventType: "custom" },
      ]) {
        const again = router.publishSessionEvent({ event: other });
        await refuses(again, Code.AlreadyExists, "EVENT_EXISTS");
      }
      const renamed = { ...event, eventId: `${event.eventId}-2` };
      const twice = router.publishSessionEvent({ event: renamed });
      await refuses(twice, Code.AlreadyExists, "SESSION_EXISTS");
      const completed = { ...renamed, eventType: "session_completed" };
      const early = router.publishSessionEvent({ event: completed });
      await refuses(early, Code.FailedPrecondition, "SESSION_NOT_IN_PROGRESS");
      const joined = router.publishSessionEvent({
        event: { ...renamed, eventType: "party_joined" },
      });
      await refuses(joined, Code.FailedPrecondition, "TRANSITION_NOT_ALLOWED");
    });

    it("of the embedded coordinator bring tokens that let the parties in", async () => {
      const session = await openSession(fleet, { count: 3, joining: 0 });
      const { sessionId, parties, tokens } = session;
      for (const partyId of parties) {
        await using reader = await subscribe(fleet, partyId);
        const [created] = await reader.atLeast(1);
        assert.deepEqual(created?.joinTokens, { [partyId]: tokens[partyId] });
        await join(fleet, { sessionId, parties, tokens: created?.joinTokens ?? {} }, partyId);
      }
    });
  });
}

describe("session event streams", () => {
  it("go on, without loss, over a kill of the server", async () => {
    await using fleet = await startFleet("two routers and all protocols");
    const [a = "", b = ""] = await registered(fleet, 2);
    await using first = await subscribe(fleet, a);
    await using second = await subscribe(fleet, a);
    const ids: string[] = [];
    const publish = async (): Promise<void> => {
      const event = keygen([a, b]);
      // What was cut off is offered again, as a coordinator would.
      for (;;) {
        try {
          await fleet.router.publishSessionEvent({ event });
          break;
        } catch (error) {
          assert.equal((error as { code?: Code }).code, Code.Unavailable);
        }
      }
      ids.push(event.eventId ?? "");
    };
    for (let round = 0; round < 2; round += 1) {
      for (let index = 0; index < 5; index += 1) await publish();
      await fleet.nats.kill("SIGKILL");
      await fleet.nats.restart();
    }
    await publish();
    for (const reader of [first, second]) {
      const events = await reader.atLeast(ids.length);
      assert.deepEqual(
        events.map(({ eventId }) => eventId),
        ids,
      );
    }
  });

  it("end unavailable when the router stops", async () => {
    const fleet = await startFleet("gRPC");
    const [a = ""] = await registered(fleet, 1);
    const reader = await subscribe(fleet, a);
    await fleet[Symbol.asyncDispose]();
    await refuses(
      reader.ended.then((error) => Promise.reject(error as Error)),
      Code.Unavailable,
      "SHUTTING_DOWN",
    );
  });
});
