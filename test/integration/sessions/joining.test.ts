import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Caller } from "../../../src/domain/caller.ts";
import { alternating, anybody, joinOn, key, none, openTrio, request } from "./calls.ts";
import { openPair } from "./instances.ts";
import { device, refusal } from "../../unit/domain/sessions/session-records.ts";
import { isRouterError } from "../../../src/domain/errors.ts";

describe("joining", () => {
  it("wants the party's own token, and tells nobody what was wrong", async () => {
    await using pair = await openTrio();
    const next = alternating(pair);
    await pair.register("p9");
    const created = await next().coordinator.createSession(anybody, request());
    const { sessionId } = created.record;
    const join = (partyId: string, joinToken: string): Promise<unknown> =>
      next().coordinator.join(anybody, { sessionId, partyId, joinToken, deviceInfo: device });
    const own = created.joinTokens.get("p0") ?? "";
    const wrong: [string, string][] = [
      ["p0", "wrong"],
      ["p1", ""],
      ["p2", own],
      ["p9", own],
    ];
    const refused = await Promise.allSettled(wrong.map(([id, token]) => join(id, token)));
    const messages = refused.map(
      (one) => one.status === "rejected" && isRouterError(one.reason) && one.reason.message,
    );
    assert.equal(new Set(messages).size, 1);
    assert.match(String(messages[0]), /^JOIN_DENIED: /);
    await join("p0", own);
    await assert.rejects(
      next().coordinator.join(anybody, {
        sessionId: "unknown",
        partyId: "p0",
        joinToken: own,
        deviceInfo: device,
      }),
      refusal("SESSION_NOT_FOUND"),
    );
  });

  it("makes a caller wait after five wrong tokens, on every instance, but for the right one", async () => {
    await using pair = await openTrio();
    const next = alternating(pair);
    const created = await next().coordinator.createSession(anybody, request());
    const { sessionId } = created.record;
    const guess = (joinToken: string): Promise<unknown> =>
      next().coordinator.join(anybody, { sessionId, partyId: "p0", joinToken, deviceInfo: device });
    for (let miss = 0; miss < 5; miss += 1) {
      await assert.rejects(guess("wrong"), refusal("JOIN_DENIED"));
    }
    for (let more = 0; more < 2; more += 1) {
      await assert.rejects(guess("wrong"), (error) => {
        refusal("TOO_MANY_JOIN_ATTEMPTS")(error);
        assert.equal(isRouterError(error) && error.retryAfterMs, 60_000);
        return true;
      });
    }
    await guess(created.joinTokens.get("p0") ?? "");
    const other = { sessionId, partyId: "p1", joinToken: "wrong", deviceInfo: device };
    await assert.rejects(next().coordinator.join(anybody, other), refusal("JOIN_DENIED"));
  });

  it("wants a registration", async () => {
    await using pair = await openPair();
    const created = await pair.a.coordinator.createSession(anybody, request());
    await assert.rejects(joinOn(pair.b, created, "p0"), refusal("NOT_REGISTERED"));
    await pair.register("p0");
    await joinOn(pair.b, created, "p0");
    assert.equal(created.record.parties[0]?.role, "temporary");
  });

  it("is refused once the session has ended", async () => {
    await using pair = await openTrio();
    const created = await pair.a.coordinator.createSession(anybody, request());
    await pair.a.coordinator.cancelSession(anybody, created.record.sessionId, "");
    await assert.rejects(joinOn(pair.b, created, "p0"), refusal("SESSION_FAILED"));
  });
});

describe("callers", () => {
  it("act for themselves only, see their own sessions only, and are no coordinator", async () => {
    await using pair = await openTrio();
    const { coordinator } = pair.a;
    const created = await coordinator.createSession({ kind: "coordinator" }, request());
    const { sessionId } = created.record;
    const p0: Caller = { kind: "party", partyId: "p0" };
    const stranger: Caller = { kind: "party", partyId: "p9" };
    const { status } = await coordinator.getStatus(p0, sessionId);
    assert.equal(status, "created");
    await assert.rejects(coordinator.getStatus(stranger, sessionId), refusal("SESSION_NOT_FOUND"));
    await assert.rejects(
      coordinator.markReady(p0, { sessionId, partyId: "p1" }),
      refusal("CALLER_MISMATCH"),
    );
    await assert.rejects(
      coordinator.markReady({ kind: "coordinator" }, { sessionId, partyId: "p1" }),
      refusal("CALLER_MISMATCH"),
    );
    const take = { sessionId, takeId: "t" };
    const refused = [
      coordinator.createSession(p0, request()),
      coordinator.getSession(p0, sessionId),
      coordinator.cancelSession(p0, sessionId, ""),
      coordinator.watchSession(p0, sessionId, new AbortController().signal),
      coordinator.takeDelegateShare(p0, take),
      coordinator.confirmDelegateShare(p0, take),
    ];
    for (const call of refused) await assert.rejects(call, refusal("COORDINATOR_ONLY"));
  });

  it("are refused bad ids and long texts before anything is looked up", async () => {
    await using pair = await openTrio();
    const { coordinator } = pair.a;
    const { signal } = new AbortController();
    for (const bad of ["", "a.b", "*", ">", "a b", "ä", "x".repeat(129)]) {
      const seat = { sessionId: bad, partyId: "p0" };
      const report = { publicKey: key, signature: none };
      const calls = [
        coordinator.getSession(anybody, bad),
        coordinator.cancelSession(anybody, bad, ""),
        coordinator.watchSession(anybody, bad, signal),
        coordinator.takeDelegateShare(anybody, { sessionId: bad, takeId: "t" }),
        coordinator.takeDelegateShare(anybody, { sessionId: "s", takeId: bad }),
        coordinator.confirmDelegateShare(anybody, { sessionId: "s", takeId: bad }),
        coordinator.getStatus(anybody, bad),
        coordinator.join(anybody, { ...seat, joinToken: "t", deviceInfo: device }),
        coordinator.markReady(anybody, seat),
        coordinator.markReady(anybody, { sessionId: "s", partyId: bad }),
        coordinator.reportCompletion(anybody, { ...seat, ...report }),
        coordinator.submitDelegateShare(anybody, {
          ...seat,
          encryptedShare: key,
          publicKey: key,
          partyIndex: 0,
        }),
      ];
      for (const call of calls) await assert.rejects(call, refusal("INVALID_ID"));
    }
    const long = "x".repeat(1_025);
    await assert.rejects(coordinator.cancelSession(anybody, "s", long), refusal("INVALID_FIELD"));
    const seat = { sessionId: "s", partyId: "p0" };
    await assert.rejects(
      coordinator.join(anybody, { ...seat, joinToken: "x".repeat(4_097), deviceInfo: device }),
      refusal("INVALID_FIELD"),
    );
    const platform = { ...device, platform: "x".repeat(257) };
    await assert.rejects(
      coordinator.join(anybody, { ...seat, joinToken: "t", deviceInfo: platform }),
      refusal("INVALID_FIELD"),
    );
  });
});
