import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  alternating,
  anybody,
  joinOn,
  key,
  none,
  openTrio,
  reportOn,
  request,
  startOn,
} from "./calls.ts";
import { eventTypesOf, type Instance } from "./instances.ts";
import { refusal } from "../../unit/domain/sessions/session-records.ts";
import { until } from "../../support/until.ts";

describe("a session on two instances", () => {
  it("is created, run and completed by calls that alternate between them", async () => {
    await using pair = await openTrio();
    const next = alternating(pair);
    const created = await next().coordinator.createSession(anybody, request());
    const { sessionId } = created.record;
    await startOn(next, created);
    assert.equal((await next().coordinator.getStatus(anybody, sessionId)).status, "in_progress");
    for (const partyId of ["p0", "p1", "p2"]) await reportOn(next(), sessionId, partyId);
    const done = await next().coordinator.getSession(anybody, sessionId);
    assert.equal(done.status, "completed");
    assert.deepEqual(done.publicKey, key);
    const inside = ["party_joined", "party_ready"];
    assert.deepEqual(await eventTypesOf(pair.a, sessionId), [
      "session_created",
      ...inside,
      ...inside,
      ...inside,
      "session_started",
      "party_completed",
      "party_completed",
      "party_completed",
      "session_completed",
    ]);
    assert.equal((await pair.b.sessions.kept(sessionId))?.status, "completed");
  });

  it("has each event once when every call is made at once on both", async () => {
    await using pair = await openTrio();
    const { a, b } = pair;
    const created = await a.coordinator.createSession(anybody, request());
    const { sessionId } = created.record;
    const everywhere = async (
      act: (instance: Instance, partyId: string) => Promise<unknown>,
    ): Promise<void> => {
      const calls = ["p0", "p1", "p2"].flatMap((id) => [act(a, id), act(b, id), act(a, id)]);
      await Promise.all(calls);
    };
    await everywhere((instance, id) => joinOn(instance, created, id));
    await everywhere((instance, partyId) =>
      instance.coordinator.markReady(anybody, { sessionId, partyId }),
    );
    await everywhere((instance, id) => reportOn(instance, sessionId, id));
    const types = await eventTypesOf(b, sessionId);
    assert.equal(types.length, 12);
    for (const type of ["session_created", "session_started", "session_completed"]) {
      assert.equal(types.filter((one) => one === type).length, 1);
    }
    assert.equal(types.at(-1), "session_completed");
  });

  it("fails on both when parties disagree, and only the one that brought it is told so", async () => {
    await using pair = await openTrio();
    const next = alternating(pair);
    const created = await next().coordinator.createSession(anybody, request());
    const { sessionId } = created.record;
    await startOn(next, created);
    await reportOn(next(), sessionId, "p0");
    const other = { sessionId, partyId: "p1", publicKey: new Uint8Array([9]), signature: none };
    const { coordinator } = next();
    await assert.rejects(
      coordinator.reportCompletion(anybody, other),
      refusal("PUBLIC_KEY_MISMATCH"),
    );
    await assert.rejects(
      next().coordinator.reportCompletion(anybody, other),
      refusal("PUBLIC_KEY_MISMATCH"),
    );
    await assert.rejects(reportOn(next(), sessionId, "p2"), refusal("SESSION_FAILED"));
    const failed = await next().coordinator.getSession(anybody, sessionId);
    assert.equal(failed.failureReason, "public_key_mismatch");
    assert.equal(failed.publicKey.length, 0);
    assert.equal((await eventTypesOf(pair.b, sessionId)).at(-1), "session_failed");
    assert.equal(await pair.b.sessions.kept(sessionId), undefined);
  });

  it("is watched on one while it changes on the other", async () => {
    await using pair = await openTrio();
    const { a, b } = pair;
    const created = await a.coordinator.createSession(anybody, request());
    const { sessionId } = created.record;
    const { signal } = new AbortController();
    const states = await b.coordinator.watchSession(anybody, sessionId, signal);
    const seen: string[] = [];
    const watching = (async () => {
      for await (const { status, parties } of states) {
        seen.push(`${status} ${parties.filter(({ state }) => state === "joined").length}`);
      }
    })();
    await until("the first state", () => seen.length === 1);
    await joinOn(a, created, "p0");
    await until("the change", () => seen.at(-1) === "created 1");
    const cancelled = await b.coordinator.cancelSession(anybody, sessionId, "enough");
    assert.equal(cancelled.failureReason, "enough");
    await watching;
    assert.equal(seen.at(-1), "failed 1");
    const again = await a.coordinator.cancelSession(anybody, sessionId, "again");
    assert.equal(again.failureReason, "enough");
    await assert.rejects(
      a.coordinator.watchSession(anybody, "nowhere", signal),
      refusal("SESSION_NOT_FOUND"),
    );
  });
});
