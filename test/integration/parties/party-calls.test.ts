import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import type { RegisteredParty } from "../../../gen/mpc/router/v1/message_router_pb.js";
import { fleetKinds, startFleet, type Fleet } from "../../support/fleet.ts";
import { openSession, read, refuses } from "../../support/sessions.ts";
import { countStored } from "../../support/store.ts";
import { until } from "../../support/until.ts";

const badIds = ["", " ", "a.b", "*", ">", "a b", "ä", "a/b", "a\n", "x".repeat(129)];
const contacts = { email: "a@example.org", phone: "+4915112345678", pushToken: "fcm:abc" };

function newId(): string {
  return `p-${randomUUID()}`;
}

async function find(fleet: Fleet, partyId: string): Promise<RegisteredParty | undefined> {
  const { parties } = await fleet.router.getRegisteredParties({});
  return parties.find((party) => party.partyId === partyId);
}

async function isOnline(fleet: Fleet, partyId: string): Promise<boolean> {
  const { parties } = await fleet.router.getRegisteredParties({ onlyOnline: true });
  return parties.some((party) => party.partyId === partyId);
}

for (const kind of fleetKinds) {
  describe(`parties by ${kind}`, () => {
    let fleet: Fleet;
    before(async () => {
      fleet = await startFleet(kind);
    });
    after(() => fleet[Symbol.asyncDispose]());

    it("are registered once and renewed after that", async () => {
      const { router } = fleet;
      const partyId = newId();
      const request = { partyId, partyRole: "persistent", version: "1" };
      const first = await router.registerParty(request);
      assert.equal(first.success, true);
      assert.ok(Math.abs(Number(first.registeredAt) - Date.now()) < 5_000);
      const renewed = { ...request, partyRole: "delegate", notification: contacts };
      const second = await router.registerParty(renewed);
      assert.equal(second.registeredAt, first.registeredAt);
      const party = await find(fleet, partyId);
      assert.equal(party?.role, "delegate");
      assert.equal(party?.online, true);
      assert.equal(party?.registeredAt, first.registeredAt);
      assert.ok((party?.lastSeenAt ?? 0n) >= first.registeredAt);
      assert.equal(party?.notification?.email, contacts.email);
      assert.equal(party?.notification?.phone, contacts.phone);
      assert.equal(party?.notification?.pushToken, contacts.pushToken);
    });

    it("are listed sorted, by role, and counted", async () => {
      const ids = [newId(), newId(), newId()];
      for (const [index, partyId] of ids.entries()) {
        const partyRole = index === 0 ? "temporary" : "persistent";
        await fleet.router.registerParty({ partyId, partyRole });
      }
      const all = await fleet.router.getRegisteredParties({});
      const listed = all.parties.map((party) => party.partyId);
      assert.deepEqual(listed, listed.toSorted());
      assert.equal(all.totalCount, listed.length);
      const some = await fleet.router.getRegisteredParties({ roleFilter: "temporary" });
      assert.ok(some.parties.every((party) => party.role === "temporary"));
      assert.ok(some.parties.some((party) => party.partyId === ids[0]));
      const unknown = fleet.router.getRegisteredParties({ roleFilter: "leader" });
      await refuses(unknown, Code.InvalidArgument, "INVALID_FIELD");
    });

    it("are refused with bad ids, roles, versions and contacts, and nothing is stored", async () => {
      const { router } = fleet;
      const request = { partyId: newId(), partyRole: "persistent" };
      for (const partyId of badIds) {
        const registering = router.registerParty({ ...request, partyId });
        await refuses(registering, Code.InvalidArgument, "INVALID_ID");
        await refuses(router.heartbeat({ partyId }), Code.InvalidArgument, "INVALID_ID");
      }
      for (const bad of [
        { partyRole: "" },
        { partyRole: "admin" },
        { version: "x".repeat(257) },
        { notification: { email: "@" } },
        { notification: { phone: "12345" } },
        { notification: { pushToken: "a b" } },
      ]) {
        const registering = router.registerParty({ ...request, ...bad });
        await refuses(registering, Code.InvalidArgument, "INVALID_FIELD");
      }
      assert.equal(await find(fleet, request.partyId), undefined);
      await refuses(router.heartbeat(request), Code.NotFound, "PARTY_NOT_FOUND");
    });

    it("learn by heartbeat how much mail waits in their live sessions", async () => {
      const session = await openSession(fleet, { count: 3 });
      const [a = "", b = "", c = ""] = session.parties;
      const { sessionId } = session;
      for (let count = 1; count <= 3; count += 1) {
        await fleet.router.routeMessage({ sessionId, fromParty: a, messageType: "m" });
        const beat = await fleet.router.heartbeat({ partyId: b, timestamp: 1n });
        assert.equal(beat.pendingMessages, count);
        assert.ok(Math.abs(Number(beat.serverTimestamp) - Date.now()) < 5_000);
      }
      const { messages } = await fleet.router.getPendingMessages({ sessionId, partyId: b });
      const [message] = messages;
      assert.ok(message);
      const acknowledged = { messageId: message.messageId, sessionId, partyId: b, success: true };
      await fleet.router.acknowledgeMessage(acknowledged);
      assert.equal((await fleet.router.heartbeat({ partyId: b })).pendingMessages, 2);
      assert.equal((await fleet.router.heartbeat({ partyId: c })).pendingMessages, 3);
      assert.equal((await fleet.router.heartbeat({ partyId: a })).pendingMessages, 0);
      await fleet.coordinator.cancelSession({ sessionId, reason: "test" });
      await until("the end is known everywhere", async () => {
        const beats = Array.from({ length: 6 }, () => fleet.router.heartbeat({ partyId: b }));
        return (await Promise.all(beats)).every((beat) => beat.pendingMessages === 0);
      });
    });

    it("leave no contact in the clear in the store", async () => {
      const partyId = newId();
      await fleet.router.registerParty({ partyId, partyRole: "delegate", notification: contacts });
      const filter = `mpc.sec.contact.${partyId}`;
      const sealed = (): Promise<number> =>
        countStored(fleet.nats.url, { stream: "MPC_SEC", filter });
      assert.equal(await sealed(), 1);
      await fleet.router.registerParty({ partyId, partyRole: "delegate" });
      assert.equal(await sealed(), 0);
      assert.equal((await find(fleet, partyId))?.notification?.email, "");
    });
  });
}

describe("presence over the wire", () => {
  const flags = ["--presence-timeout=1s"];

  it("keeps a party online by the PINGs of an open HTTP/2 stream, and no longer", async () => {
    await using fleet = await startFleet("gRPC", flags);
    const partyId = newId();
    await fleet.router.registerParty({ partyId, partyRole: "persistent" });
    const stream = read((signal) => fleet.router.subscribeSessionEvents({ partyId }, { signal }));
    const endAt = performance.now() + 3_000;
    await until("three times the presence time", async () => {
      assert.equal(await isOnline(fleet, partyId), true);
      return performance.now() > endAt;
    });
    await stream[Symbol.asyncDispose]();
    await until("offline", async () => !(await isOnline(fleet, partyId)), 2_500);
  });

  it("keeps a party online by its calls beside an HTTP/1.1 stream, and not by calls alone", async () => {
    await using fleet = await startFleet("Connect JSON", flags);
    const session = await openSession(fleet, { count: 2 });
    const [beside = "", alone = ""] = session.parties;
    const { sessionId } = session;
    await using stream = read((signal) =>
      fleet.router.subscribeMessages({ sessionId, partyId: beside }, { signal }),
    );
    const endAt = performance.now() + 2_500;
    await until("more than twice the presence time", async () => {
      for (const partyId of [beside, alone]) {
        await fleet.router.getPendingMessages({ sessionId, partyId });
      }
      assert.equal(await isOnline(fleet, beside), true);
      return performance.now() > endAt;
    });
    assert.equal(await isOnline(fleet, alone), false);
    await until("offline", async () => !(await isOnline(fleet, beside)), 2_500);
    assert.equal(stream.items.length, 0);
  });
});
