import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { fleetKinds, startFleet, type Fleet } from "../../support/fleet.ts";
import { join, openSession, read, refuses } from "../../support/sessions.ts";

const { InvalidArgument, FailedPrecondition, AlreadyExists, NotFound } = Code;

for (const kind of fleetKinds) {
  describe(`the coordinator by ${kind}`, () => {
    let fleet: Fleet;
    before(async () => {
      fleet = await startFleet(kind);
    });
    after(() => fleet[Symbol.asyncDispose]());

    const keygen = (change: object = {}) =>
      fleet.coordinator.createSession({
        sessionType: "keygen",
        thresholdN: 2,
        thresholdT: 2,
        selectedParties: ["p1", "p2"],
        ...change,
      });

    const counts = (count: number) =>
      keygen({
        thresholdN: count,
        selectedParties: [],
        roleCounts: [{ role: "temporary", count }],
      });
    const sign = (change: object) =>
      keygen({ sessionType: "sign", messageHash: new Uint8Array(32), ...change });

    it("refuses a session that does not fit together", async () => {
      const hash = new Uint8Array(32);
      const bad: Readonly<Record<string, object>> = {
        "an unknown type": { sessionType: "sing" },
        "t above n": { thresholdT: 3 },
        "t below one": { thresholdT: 0 },
        "too few parties": { selectedParties: ["p1"] },
        "too many parties": { selectedParties: ["p1", "p2", "p3"] },
        "a party twice": { selectedParties: ["p1", "p1"] },
        "one share": { thresholdN: 1, thresholdT: 1, selectedParties: ["p1"] },
        "101 shares": { thresholdN: 101 },
        "a hash for a keygen": { messageHash: hash },
        "no hash for a signature": { sessionType: "sign" },
        "a short hash": { sessionType: "sign", messageHash: new Uint8Array(31) },
        "a long hash": { sessionType: "sign", messageHash: new Uint8Array(65) },
        "a lifetime under a second": { expiresInMs: 999n },
        "a lifetime over a week": { expiresInMs: 604_800_001n },
        "both lists and counts": { roleCounts: [{ role: "persistent", count: 2 }] },
        "neither list nor counts": { selectedParties: [] },
        "an unknown role": { selectedParties: [], roleCounts: [{ role: "boss", count: 2 }] },
        "a signature by counts without a key": {
          sessionType: "sign",
          messageHash: hash,
          selectedParties: [],
          roleCounts: [{ role: "persistent", count: 2 }],
        },
      };
      for (const [what, change] of Object.entries(bad)) {
        const error = await refuses(keygen(change), InvalidArgument, "INVALID_FIELD");
        assert.ok(error.rawMessage.length > 0, what);
      }
    });

    it("gives a repeated request the same session and tokens, and refuses another one", async () => {
      const requestId = randomUUID();
      const first = await keygen({ requestId });
      const again = await keygen({ requestId });
      assert.equal(again.session?.sessionId, first.session?.sessionId);
      assert.deepEqual(again.joinTokens, first.joinTokens);
      await refuses(keygen({ requestId, thresholdT: 1 }), AlreadyExists, "REQUEST_ID_REUSED");
      assert.notEqual((await keygen()).session?.sessionId, first.session?.sessionId);
    });

    it("chooses parties that are online, by role, and refuses when there are too few", async () => {
      const prefix = randomUUID().slice(0, 8);
      for (const name of ["t1", "t2"]) {
        await fleet.router.registerParty({ partyId: `${prefix}-${name}`, partyRole: "temporary" });
      }
      const { session } = await counts(2);
      assert.deepEqual(
        session?.parties.map(({ role }) => role),
        ["temporary", "temporary"],
      );
      assert.ok(session.parties.every(({ partyId }) => partyId.startsWith(prefix)));
      await refuses(counts(3), FailedPrecondition, "NOT_ENOUGH_PARTIES");
    });

    it("refuses a signature under a key that is not there", async () => {
      const unfinished = await openSession(fleet, { count: 2 });
      const unknown = sign({ keygenSessionId: "nowhere" });
      await refuses(unknown, FailedPrecondition, "KEYGEN_NOT_COMPLETED");
      const early = sign({
        keygenSessionId: unfinished.sessionId,
        selectedParties: unfinished.parties,
      });
      await refuses(early, FailedPrecondition, "KEYGEN_NOT_COMPLETED");
    });

    it("cancels a live session, again and again, and no completed one", async () => {
      const { sessionId } = await openSession(fleet);
      for (let times = 0; times < 2; times += 1) {
        const { status } = await fleet.coordinator.cancelSession({ sessionId, reason: "changed" });
        assert.equal(status, "failed");
      }
      const { session } = await fleet.coordinator.getSession({ sessionId });
      assert.equal(session?.failureReason, "changed");
      const { coordinator, router } = fleet;
      const done = await openSession(fleet, { count: 2, ready: true });
      for (const partyId of done.parties) {
        const call = { sessionId: done.sessionId, partyId, publicKey: new Uint8Array([1]) };
        await router.reportCompletion(call);
      }
      await refuses(
        coordinator.cancelSession({ sessionId: done.sessionId }),
        FailedPrecondition,
        "SESSION_COMPLETED",
      );
      await refuses(coordinator.cancelSession({ sessionId: "no" }), NotFound, "SESSION_NOT_FOUND");
      await refuses(coordinator.getSession({ sessionId: "no" }), NotFound, "SESSION_NOT_FOUND");
    });

    it("lists sessions newest first, by filter and by page", async () => {
      const partyId = `lister-${randomUUID()}`;
      const made: string[] = [];
      for (let count = 0; count < 5; count += 1) {
        const { session } = await keygen({ selectedParties: [partyId, "p2"] });
        made.unshift(session?.sessionId ?? "");
      }
      const list = (change: object) =>
        fleet.coordinator.listSessions({ partyFilter: partyId, ...change });
      const all = await list({});
      assert.deepEqual(
        all.sessions.map((session) => session.sessionId),
        made,
      );
      assert.equal(all.nextPageToken, "");
      const pages: string[] = [];
      let pageToken = "";
      do {
        const page = await list({ pageSize: 2, pageToken });
        pages.push(...page.sessions.map((session) => session.sessionId));
        pageToken = page.nextPageToken;
      } while (pageToken !== "");
      assert.deepEqual(pages, made);
      await fleet.coordinator.cancelSession({ sessionId: made[0] ?? "" });
      const failed = await list({ statusFilter: "failed" });
      assert.deepEqual(
        failed.sessions.map((session) => session.sessionId),
        made.slice(0, 1),
      );
      assert.deepEqual((await list({ typeFilter: "sign" })).sessions, []);
      for (const bad of [{ statusFilter: "x" }, { typeFilter: "x" }, { pageSize: -1 }]) {
        await refuses(list(bad), InvalidArgument, "INVALID_FIELD");
      }
      await refuses(list({ pageToken: "garbage" }), InvalidArgument, "INVALID_FIELD");
    });

    it("watches a session from its state now to its end", async () => {
      const session = await openSession(fleet, { count: 2, joining: 0 });
      const { sessionId } = session;
      await using watch = read((signal) =>
        fleet.coordinator.watchSession({ sessionId }, { signal }),
      );
      await watch.atLeast(1);
      for (const partyId of session.parties) await join(fleet, session, partyId);
      for (const partyId of session.parties) {
        await fleet.router.markPartyReady({ sessionId, partyId });
      }
      await fleet.coordinator.cancelSession({ sessionId });
      assert.equal(await watch.ended, undefined);
      assert.equal(watch.items[0]?.status, "created");
      assert.equal(watch.items.at(-1)?.status, "failed");
      const unknown = read((signal) =>
        fleet.coordinator.watchSession({ sessionId: "no" }, { signal }),
      );
      await refuses(unknown.ended.then(rethrow), NotFound, "SESSION_NOT_FOUND");
    });

    it("serves the five proxied calls to another router", async () => {
      const session = await openSession(fleet, { count: 2, joining: 0 });
      const { sessionId, parties, tokens } = session;
      for (const partyId of parties) {
        const joinToken = tokens[partyId] ?? "";
        await fleet.operations.joinSession({ sessionId, partyId, joinToken });
      }
      for (const partyId of parties) {
        await fleet.operations.markPartyReady({ sessionId, partyId });
      }
      const { status } = await fleet.operations.getSessionStatus({ sessionId });
      assert.equal(status, "in_progress");
      for (const partyId of parties) {
        const call = { sessionId, partyId, publicKey: new Uint8Array([1]) };
        await fleet.operations.reportCompletion(call);
      }
      await refuses(
        fleet.operations.submitDelegateShare({
          sessionId,
          partyId: parties[0] ?? "",
          encryptedShare: new Uint8Array([1]),
          publicKey: new Uint8Array([1]),
        }),
        Code.PermissionDenied,
        "NOT_THE_DELEGATE",
      );
    });
  });
}

function rethrow(error: unknown): never {
  throw error;
}
