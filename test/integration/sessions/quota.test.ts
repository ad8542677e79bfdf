import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Caller } from "../../../src/domain/caller.ts";
import { isRouterError } from "../../../src/domain/errors.ts";
import { until } from "../../support/until.ts";
import { refusal } from "../../unit/domain/sessions/session-records.ts";
import { alternating, anybody, openTrio, request } from "./calls.ts";

const backend: Caller = { kind: "coordinator", name: "backend" };
const other: Caller = { kind: "coordinator", name: "other" };

describe("live sessions of a coordinator", () => {
  it("are at most as many as it may have, over all instances, until one ends or expires", async () => {
    await using pair = await openTrio({ maxSessionsPerCoordinator: 4 });
    const next = alternating(pair);
    const create = async (caller: Caller, expiresInMs = 0): Promise<string> => {
      await pair.a.sessions.catchUp();
      await pair.b.sessions.catchUp();
      const created = await next().coordinator.createSession(caller, request({ expiresInMs }));
      return created.record.sessionId;
    };
    const first = await create(backend);
    await create(backend, 2_000);
    await create(backend);
    await create(backend);
    for (const instance of [pair.a, pair.b]) {
      await assert.rejects(create(backend), refusal("TOO_MANY_SESSIONS"));
      await instance.coordinator.createSession(other, request());
      await instance.coordinator.createSession(anybody, request());
    }
    await pair.b.coordinator.cancelSession(backend, first, "");
    await pair.a.sessions.catchUp();
    await pair.a.coordinator.createSession(backend, request());
    await assert.rejects(create(backend), refusal("TOO_MANY_SESSIONS"));
    pair.clock.advance(3_000);
    await create(backend);
    await assert.rejects(create(backend), refusal("TOO_MANY_SESSIONS"));
  });

  it("are exactly as many when it creates them all at once", async () => {
    await using pair = await openTrio({ maxSessionsPerCoordinator: 7 });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 60 }, () => pair.a.coordinator.createSession(backend, request())),
    );
    assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 7);
    for (const outcome of outcomes) {
      if (outcome.status === "fulfilled") continue;
      assert.ok(isRouterError(outcome.reason, "TOO_MANY_SESSIONS"), String(outcome.reason));
    }
    await until(
      "the other instance has heard of them",
      () => [...pair.b.sessions.all()].length === 7,
    );
    await assert.rejects(
      pair.b.coordinator.createSession(backend, request()),
      refusal("TOO_MANY_SESSIONS"),
    );
  });

  it("are not asked about for a repeat, and a refused one stores nothing", async () => {
    await using pair = await openTrio({ maxSessionsPerCoordinator: 1 });
    const named = request({ requestId: "request-1" });
    const made = await pair.a.coordinator.createSession(backend, named);
    await pair.b.sessions.catchUp();
    for (const { coordinator, secrets, sessions } of [pair.a, pair.b]) {
      const repeated = await coordinator.createSession(backend, named);
      assert.equal(repeated.record.sessionId, made.record.sessionId);
      const lentShare = { delegatePartyId: "p0", partyIndex: 0, encryptedShare: new Uint8Array(9) };
      const signing = { sessionType: "sign", messageHash: new Uint8Array(32), lentShare };
      await pair.register("p0", "delegate");
      await assert.rejects(
        coordinator.createSession(backend, request(signing)),
        refusal("TOO_MANY_SESSIONS"),
      );
      assert.deepEqual(await secrets.ids("lent"), []);
      assert.equal([...sessions.all()].length, 1);
    }
  });
});
