import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { fleetKinds, startFleet, type Fleet } from "../../support/fleet.ts";
import { join, openSession, read, refuses, type TestSession } from "../../support/sessions.ts";

const publicKey = new Uint8Array(33).fill(7);
const signature = new Uint8Array(64).fill(9);
const hash = new Uint8Array(32).fill(3);
const { FailedPrecondition, InvalidArgument, AlreadyExists, Aborted, NotFound } = Code;
const { PermissionDenied, ResourceExhausted } = Code;

function seatOf(
  { sessionId, parties }: TestSession,
  index: number,
): { readonly sessionId: string; readonly partyId: string } {
  return { sessionId, partyId: parties[index] ?? "" };
}

for (const kind of fleetKinds) {
  describe(`sessions by ${kind}`, () => {
    let fleet: Fleet;
    before(async () => {
      fleet = await startFleet(kind);
    });
    after(() => fleet[Symbol.asyncDispose]());

    /** A keygen session that is in progress. */
    const running = (): Promise<TestSession> => openSession(fleet, { ready: true });
    const report = (session: TestSession, seat: number, value: object = { publicKey }) =>
      fleet.router.reportCompletion({
        sessionId: session.sessionId,
        partyId: session.parties[seat] ?? "",
        ...value,
      });
    const complete = async (session: TestSession): Promise<void> => {
      for (let seat = 0; seat < session.parties.length; seat += 1) await report(session, seat);
    };
    const stateOf = async ({ sessionId }: TestSession) => {
      const { session } = await fleet.coordinator.getSession({ sessionId });
      assert.ok(session !== undefined);
      return session;
    };
    it("runs a keygen from creation to completion, each event once and in order", async () => {
      const session = await openSession(fleet, { joining: 0 });
      const { sessionId, parties } = session;
      await using events = read((signal) =>
        fleet.router.subscribeSessionEvents({ partyId: parties[0] ?? "" }, { signal }),
      );
      for (const [index, partyId] of parties.entries()) {
        const joined = await fleet.router.joinSession({
          sessionId,
          partyId,
          joinToken: session.tokens[partyId] ?? "",
          deviceInfo: { deviceType: "mobile", deviceId: `d${index}`, platform: "ios" },
        });
        assert.equal(joined.partyIndex, index);
        assert.equal(joined.sessionInfo?.status, "created");
        assert.equal(joined.sessionInfo.thresholdT, 2);
        assert.deepEqual(
          joined.otherParties.map((other) => other.partyId),
          parties.filter((other) => other !== partyId),
        );
        assert.equal(joined.otherParties.filter((other) => other.deviceInfo).length, index);
      }
      for (const [index, partyId] of parties.entries()) {
        const { allReady } = await fleet.router.markPartyReady({ sessionId, partyId });
        assert.equal(allReady, index === parties.length - 1);
      }
      assert.equal((await fleet.router.getSessionStatus({ sessionId })).status, "in_progress");
      for (const [index] of parties.entries()) {
        const { allCompleted } = await report(session, index);
        assert.equal(allCompleted, index === parties.length - 1);
      }
      const ended = await stateOf(session);
      assert.equal(ended.status, "completed");
      assert.deepEqual(ended.publicKey, publicKey);
      assert.deepEqual(
        (await events.atLeast(12)).map((event) => event.eventType),
        [
          "session_created",
          ...parties.map(() => "party_joined"),
          ...parties.map(() => "party_ready"),
          "session_started",
          ...parties.map(() => "party_completed"),
          "session_completed",
        ],
      );
      const [created] = events.items;
      const [own = ""] = parties;
      assert.deepEqual(created?.joinTokens, { [own]: session.tokens[own] });
      assert.equal(new Set(events.items.map((event) => event.eventId)).size, 12);
    });

    it("gives each party its own join token only", async () => {
      const session = await openSession(fleet, { joining: 0 });
      for (const partyId of session.parties) {
        await using events = read((signal) =>
          fleet.router.subscribeSessionEvents({ partyId }, { signal }),
        );
        const [created] = await events.atLeast(1);
        assert.deepEqual(created?.joinTokens, { [partyId]: session.tokens[partyId] });
      }
    });

    it("takes every call of a party twice", async () => {
      const session = await running();
      await join(fleet, session, session.parties[0] ?? "");
      assert.equal((await fleet.router.markPartyReady(seatOf(session, 0))).allReady, true);
      await report(session, 0);
      assert.equal((await report(session, 0)).allCompleted, false);
      assert.deepEqual((await stateOf(session)).publicKey, publicKey);
      await report(session, 1);
      await report(session, 2);
      assert.equal((await report(session, 0)).allCompleted, true);
    });

    it("refuses to join without the party's own token, and says no more than that", async () => {
      const session = await openSession(fleet, { joining: 0 });
      const { sessionId, parties, tokens } = session;
      const [a = "", b = ""] = parties;
      const other = await openSession(fleet, { joining: 0 });
      const tries = [
        { partyId: a, joinToken: "" },
        { partyId: a, joinToken: "mpcj_wrong" },
        { partyId: a, joinToken: tokens[b] ?? "" },
        { partyId: other.parties[0] ?? "", joinToken: tokens[a] ?? "" },
      ];
      const texts = new Set<string>();
      for (const attempt of tries) {
        const call = fleet.router.joinSession({ sessionId, ...attempt });
        texts.add((await refuses(call, PermissionDenied, "JOIN_DENIED")).rawMessage);
      }
      assert.equal(texts.size, 1);
      await refuses(
        fleet.router.joinSession({ sessionId: "nowhere", partyId: a, joinToken: "x" }),
        NotFound,
        "SESSION_NOT_FOUND",
      );
      await refuses(
        fleet.router.joinSession({ sessionId, partyId: a, joinToken: "x".repeat(4_097) }),
        InvalidArgument,
        "INVALID_FIELD",
      );
    });

    it("stops the guessing of tokens after five misses, but not the right one", async () => {
      const session = await openSession(fleet, { joining: 0 });
      const { sessionId, parties } = session;
      const [partyId = ""] = parties;
      const guess = () => fleet.router.joinSession({ sessionId, partyId, joinToken: "guess" });
      for (let miss = 0; miss < 5; miss += 1)
        await refuses(guess(), PermissionDenied, "JOIN_DENIED");
      await refuses(guess(), ResourceExhausted, "TOO_MANY_JOIN_ATTEMPTS");
      await join(fleet, session, partyId);
    });

    it("wants a registration to join, and a join to be ready", async () => {
      const stranger = randomUUID();
      const created = await fleet.coordinator.createSession({
        sessionType: "keygen",
        thresholdN: 2,
        thresholdT: 1,
        selectedParties: [stranger, `${stranger}-2`],
      });
      const sessionId = created.session?.sessionId ?? "";
      const call = { sessionId, partyId: stranger, joinToken: created.joinTokens[stranger] ?? "" };
      await refuses(fleet.router.joinSession(call), FailedPrecondition, "NOT_REGISTERED");
      await refuses(
        fleet.router.markPartyReady({ sessionId, partyId: stranger }),
        FailedPrecondition,
        "NOT_JOINED",
      );
    });

    it("takes no report before the start, none without its value and no second one", async () => {
      const early = await openSession(fleet);
      await refuses(report(early, 0), FailedPrecondition, "SESSION_NOT_IN_PROGRESS");
      const session = await running();
      await refuses(report(session, 0, { signature }), InvalidArgument, "INVALID_FIELD");
      await report(session, 0);
      const other = { publicKey: new Uint8Array(33).fill(8) };
      await refuses(report(session, 0, other), AlreadyExists, "REPORT_DIFFERS");
      const stranger = fleet.router.reportCompletion({
        sessionId: session.sessionId,
        partyId: "stranger",
        publicKey,
      });
      await refuses(stranger, NotFound, "SESSION_NOT_FOUND");
    });

    it("fails when two parties report different keys, and clears both", async () => {
      const session = await running();
      await report(session, 0);
      const other = { publicKey: new Uint8Array(33).fill(8) };
      await refuses(report(session, 1, other), Aborted, "PUBLIC_KEY_MISMATCH");
      const failed = await stateOf(session);
      assert.equal(failed.status, "failed");
      assert.equal(failed.publicKey.length, 0);
      await refuses(report(session, 2), FailedPrecondition, "SESSION_FAILED");
    });

    it("signs with the indexes of the keygen session, and fails on different signatures", async () => {
      const keygen = await running();
      await complete(keygen);
      const [, b = "", c = ""] = keygen.parties;
      const created = await fleet.coordinator.createSession({
        sessionType: "sign",
        thresholdN: 3,
        thresholdT: 2,
        selectedParties: [c, b],
        messageHash: hash,
        keygenSessionId: keygen.sessionId,
      });
      const session = {
        sessionId: created.session?.sessionId ?? "",
        parties: [c, b],
        tokens: created.joinTokens,
      };
      assert.deepEqual(
        created.session?.parties.map((party) => [party.partyId, party.partyIndex]),
        [
          [c, 2],
          [b, 1],
        ],
      );
      assert.deepEqual(created.session?.publicKey, publicKey);
      for (const partyId of session.parties) await join(fleet, session, partyId);
      for (const index of [0, 1]) await fleet.router.markPartyReady(seatOf(session, index));
      await refuses(report(session, 0), InvalidArgument, "INVALID_FIELD");
      await report(session, 0, { signature });
      assert.deepEqual((await stateOf(session)).signature, signature);
      const other = { signature: new Uint8Array(64).fill(1) };
      await refuses(report(session, 1, other), Aborted, "SIGNATURE_MISMATCH");
    });

    it("shows who is missing, and expires on time", async () => {
      const session = await openSession(fleet, { joining: 2, expiresInMs: 1_000 });
      const states = (await stateOf(session)).parties.map((party) => party.state);
      assert.deepEqual(states, ["joined", "joined", "selected"]);
      await using events = read((signal) =>
        fleet.router.subscribeSessionEvents(
          { partyId: session.parties[0] ?? "", eventTypes: ["session_expired"] },
          { signal },
        ),
      );
      assert.equal((await events.atLeast(1, 4_000)).length, 1);
      const expired = await stateOf(session);
      assert.equal(expired.status, "expired");
      assert.ok(expired.endedAt >= expired.expiresAt);
      await refuses(
        fleet.router.markPartyReady(seatOf(session, 0)),
        FailedPrecondition,
        "SESSION_EXPIRED",
      );
      await refuses(
        fleet.coordinator.cancelSession({ sessionId: session.sessionId }),
        FailedPrecondition,
        "SESSION_EXPIRED",
      );
    });

    it("hands the user's share from the delegate to the backend, once", async () => {
      const prefix = randomUUID().slice(0, 8);
      const [server, delegate] = [`${prefix}-s`, `${prefix}-d`];
      await fleet.router.registerParty({ partyId: server, partyRole: "persistent" });
      await fleet.router.registerParty({ partyId: delegate, partyRole: "delegate" });
      const userPublicKey = new Uint8Array(32).fill(5);
      const created = await fleet.coordinator.createSession({
        sessionType: "keygen",
        thresholdN: 2,
        thresholdT: 2,
        selectedParties: [server, delegate],
        userPublicKey,
      });
      const sessionId = created.session?.sessionId ?? "";
      const session = { sessionId, parties: [server, delegate], tokens: created.joinTokens };
      const [, carried = ""] = (created.joinTokens[delegate] ?? "").split(".");
      assert.deepEqual(new Uint8Array(Buffer.from(carried, "base64url")), userPublicKey);
      for (const partyId of session.parties) await join(fleet, session, partyId);
      for (const index of [0, 1]) await fleet.router.markPartyReady(seatOf(session, index));
      const submit = (change: object) =>
        fleet.router.submitDelegateShare({
          sessionId,
          partyId: delegate,
          encryptedShare: new Uint8Array([1, 2, 3]),
          publicKey,
          partyIndex: 1,
          ...change,
        });
      await refuses(report(session, 1), FailedPrecondition, "DELEGATE_SHARE_MISSING");
      await refuses(
        submit({ partyId: server, partyIndex: 0 }),
        PermissionDenied,
        "NOT_THE_DELEGATE",
      );
      await refuses(submit({ partyIndex: 0 }), InvalidArgument, "INVALID_FIELD");
      await refuses(submit({ encryptedShare: new Uint8Array() }), InvalidArgument, "INVALID_FIELD");
      await refuses(
        submit({ encryptedShare: new Uint8Array(65_537) }),
        InvalidArgument,
        "INVALID_FIELD",
      );
      await submit({});
      await submit({});
      const otherShare = submit({ encryptedShare: new Uint8Array([9]) });
      await refuses(otherShare, AlreadyExists, "DELEGATE_SHARE_DIFFERS");
      const take = (takeId: string) => fleet.coordinator.takeDelegateShare({ sessionId, takeId });
      await refuses(take("t1"), FailedPrecondition, "TRANSITION_NOT_ALLOWED");
      await complete(session);
      const taken = await take("t1");
      assert.deepEqual(taken.encryptedShare, new Uint8Array([1, 2, 3]));
      assert.equal(taken.delegatePartyId, delegate);
      assert.deepEqual((await take("t1")).encryptedShare, taken.encryptedShare);
      await refuses(take("t2"), FailedPrecondition, "DELEGATE_SHARE_TAKEN");
      for (let times = 0; times < 2; times += 1) {
        await fleet.coordinator.confirmDelegateShare({ sessionId, takeId: "t1" });
      }
      await refuses(take("t1"), NotFound, "DELEGATE_SHARE_NOT_FOUND");
      assert.equal((await stateOf(session)).delegateShareState, "erased");
    });

    it("lends the user's share to its delegate only", async () => {
      const prefix = randomUUID().slice(0, 8);
      const [server, delegate] = [`${prefix}-s`, `${prefix}-d`];
      await fleet.router.registerParty({ partyId: server, partyRole: "persistent" });
      await fleet.router.registerParty({ partyId: delegate, partyRole: "delegate" });
      const encryptedShare = new Uint8Array([4, 5, 6]);
      await fleet.coordinator.createSession({
        sessionType: "sign",
        thresholdN: 2,
        thresholdT: 2,
        selectedParties: [server, delegate],
        messageHash: hash,
        delegateUserShare: { delegatePartyId: delegate, encryptedShare, partyIndex: 1 },
      });
      const firstEventOf = async (partyId: string) => {
        await using events = read((signal) =>
          fleet.router.subscribeSessionEvents({ partyId }, { signal }),
        );
        return (await events.atLeast(1))[0];
      };
      assert.deepEqual(
        (await firstEventOf(delegate))?.delegateUserShare?.encryptedShare,
        encryptedShare,
      );
      assert.equal((await firstEventOf(server))?.delegateUserShare, undefined);
    });
  });
}
