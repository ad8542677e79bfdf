import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  Code,
  ConnectError,
  createClient,
  createRouterTransport,
  type Client,
  type Interceptor,
} from "@connectrpc/connect";
import {
  SessionCoordinator,
  SessionOperations,
} from "../../../gen/mpc/coordinator/v1/coordinator_pb.js";
import { MessageRouter } from "../../../gen/mpc/router/v1/message_router_pb.js";
import type { Caller } from "../../../src/domain/caller.ts";
import { callerKey } from "../../../src/rpc/caller.ts";
import { createCoordinatorHandlers } from "../../../src/rpc/coordinator.ts";
import { createErrorInterceptor } from "../../../src/rpc/interceptors.ts";
import {
  createSessionOperationHandlers,
  proxiedCaller,
} from "../../../src/rpc/session-operations.ts";
import { silentLogger } from "../../../src/telemetry/logger.ts";
import { key, none, openTrio } from "./calls.ts";
import type { Pair } from "./instances.ts";

interface Setup extends AsyncDisposable {
  readonly pair: Pair;
  readonly router: Client<typeof MessageRouter>;
  readonly coordinator: Client<typeof SessionCoordinator>;
  readonly operations: Client<typeof SessionOperations>;
}

/** The handlers over an in-memory transport, as a router serves them. */
async function setup(caller: Caller = { kind: "open" }): Promise<Setup> {
  const pair = await openTrio();
  await pair.register("d0", "delegate");
  const { coordinator } = pair.a;
  const identity: Interceptor = (next) => (request) => {
    request.contextValues.set(callerKey, caller);
    return next(request);
  };
  const transport = createRouterTransport(
    (router) => {
      router.service(MessageRouter, createSessionOperationHandlers(coordinator));
      router.service(SessionCoordinator, createCoordinatorHandlers(coordinator));
      const proxied = createSessionOperationHandlers(coordinator, proxiedCaller);
      router.service(SessionOperations, proxied);
    },
    { router: { interceptors: [createErrorInterceptor(silentLogger), identity] } },
  );
  return {
    pair,
    router: createClient(MessageRouter, transport),
    coordinator: createClient(SessionCoordinator, transport),
    operations: createClient(SessionOperations, transport),
    [Symbol.asyncDispose]: () => pair[Symbol.asyncDispose](),
  };
}

const roster = ["p0", "p1", "d0"];
const device = { deviceType: "web", deviceId: "d", platform: "browser", appVersion: "2" };

async function codeOf(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return error === undefined ? "OK" : Code[ConnectError.from(error).code];
}

describe("the session RPCs", () => {
  it("run a keygen session with its share from creation to confirmation", async () => {
    await using service = await setup();
    const { router, coordinator } = service;
    const created = await coordinator.createSession({
      sessionType: "keygen",
      thresholdN: 3,
      thresholdT: 2,
      selectedParties: roster,
      expiresInMs: 60_000n,
      userPublicKey: new Uint8Array(32),
    });
    const session = created.session;
    assert.ok(session);
    const { sessionId } = session;
    assert.equal(session.expiresAt - session.createdAt, 60_000n);
    assert.equal(session.delegateShareState, "awaited");
    assert.deepEqual(Object.keys(created.joinTokens), roster);
    const states: string[] = [];
    const watching = (async () => {
      for await (const { status } of coordinator.watchSession({ sessionId })) states.push(status);
    })();

    for (const [index, partyId] of roster.entries()) {
      const joinToken = created.joinTokens[partyId] ?? "";
      const request = { sessionId, partyId, joinToken, deviceInfo: device };
      const joined = await router.joinSession(request);
      assert.equal(joined.partyIndex, index);
      assert.equal(joined.sessionInfo?.sessionType, "keygen");
      const others = joined.otherParties.map((other) => [
        other.partyId,
        other.deviceInfo?.platform ?? "",
      ]);
      const expected = roster
        .map((id, position) => [id, position < index ? "browser" : ""])
        .filter(([id]) => id !== partyId);
      assert.deepEqual(others, expected);
    }
    for (const partyId of roster) {
      const { allReady } = await router.markPartyReady({ sessionId, partyId });
      assert.equal(allReady, partyId === "d0");
    }
    const encryptedShare = new Uint8Array(40).fill(1);
    const share = { sessionId, partyId: "d0", encryptedShare, publicKey: key, partyIndex: 2 };
    assert.equal((await router.submitDelegateShare(share)).success, true);
    for (const partyId of roster) {
      const report = { sessionId, partyId, publicKey: key };
      const { allCompleted } = await router.reportCompletion(report);
      assert.equal(allCompleted, partyId === "d0");
    }
    const status = await router.getSessionStatus({ sessionId });
    assert.equal(status.status, "completed");
    assert.equal(status.participants.length, 3);
    await watching;
    assert.equal(states[0], "created");
    assert.equal(states.at(-1), "completed");

    const take = { sessionId, takeId: "t-1" };
    const taken = await coordinator.takeDelegateShare(take);
    assert.deepEqual(Buffer.from(taken.encryptedShare), Buffer.from(encryptedShare));
    assert.ok(taken.eraseAt > session.createdAt);
    assert.equal((await coordinator.confirmDelegateShare(take)).success, true);
    const after = (await coordinator.getSession({ sessionId })).session;
    assert.equal(after?.delegateShareState, "erased");
    assert.deepEqual(Buffer.from(after.publicKey), Buffer.from(key));
    const { sessions } = await coordinator.listSessions({ typeFilter: "keygen" });
    assert.deepEqual(
      sessions.map((one) => one.sessionId),
      [sessionId],
    );
  });

  it("create a sign session with a lent share, and cancel it", async () => {
    await using service = await setup();
    const { coordinator } = service;
    const delegateUserShare = {
      delegatePartyId: "d0",
      encryptedShare: new Uint8Array(9),
      partyIndex: 1,
    };
    const { session } = await coordinator.createSession({
      requestId: "r-1",
      sessionType: "sign",
      thresholdN: 3,
      thresholdT: 2,
      selectedParties: ["p0", "d0"],
      messageHash: new Uint8Array(32),
      delegateUserShare,
    });
    assert.equal(session?.delegateShareState, "none");
    const { sessionId } = session;
    const cancelled = await coordinator.cancelSession({ sessionId, reason: "enough" });
    assert.deepEqual([cancelled.success, cancelled.status], [true, "failed"]);
    const failed = (await coordinator.getSession({ sessionId })).session;
    assert.equal(failed?.failureReason, "enough");
  });

  it("answer with the code of the refusal", async () => {
    await using service = await setup();
    const { router, coordinator } = service;
    const sessionId = "unknown";
    assert.equal(await codeOf(coordinator.getSession({ sessionId })), "NotFound");
    assert.equal(await codeOf(coordinator.getSession({ sessionId: "a.b" })), "InvalidArgument");
    assert.equal(await codeOf(router.getSessionStatus({ sessionId })), "NotFound");
    const watching = coordinator.watchSession({ sessionId })[Symbol.asyncIterator]();
    assert.equal(await codeOf(watching.next()), "NotFound");
    const huge = { expiresInMs: 2n ** 62n, sessionType: "keygen", thresholdN: 3, thresholdT: 2 };
    const request = { ...huge, selectedParties: roster };
    assert.equal(await codeOf(coordinator.createSession(request)), "InvalidArgument");
    const empty = { sessionId, partyId: "d0", encryptedShare: none, publicKey: key };
    assert.equal(await codeOf(router.submitDelegateShare(empty)), "InvalidArgument");
  });
});

describe("the operations that another router calls for its parties", () => {
  it("name any party, for a caller of role coordinator", async () => {
    await using service = await setup({ kind: "coordinator" });
    const { coordinator, operations, router } = service;
    const created = await coordinator.createSession({
      sessionType: "keygen",
      thresholdN: 3,
      thresholdT: 2,
      selectedParties: roster,
    });
    const sessionId = created.session?.sessionId ?? "";
    const seat = { sessionId, partyId: "p0" };
    const join = { ...seat, joinToken: created.joinTokens["p0"] ?? "" };
    assert.equal((await operations.joinSession(join)).success, true);
    assert.equal(await codeOf(router.joinSession(join)), "PermissionDenied");
    assert.equal((await operations.getSessionStatus({ sessionId })).status, "created");
  });

  it("are refused to a party, also for itself", async () => {
    await using service = await setup({ kind: "party", partyId: "p0" });
    const seat = { sessionId: "s", partyId: "p0" };
    assert.equal(await codeOf(service.operations.markPartyReady(seat)), "PermissionDenied");
    assert.equal(await codeOf(service.router.markPartyReady(seat)), "NotFound");
  });
});
