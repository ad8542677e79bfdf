import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { sessionIdFor } from "../../../src/domain/sessions/create-request.ts";
import { crowded } from "../../support/crowded.ts";
import { until } from "../../support/until.ts";
import { anybody, joinOn, openTrio, reportOn, request, startOn } from "./calls.ts";
import { eventTypesOf, openInstance, type Instance } from "./instances.ts";

const inside = ["party_joined", "party_ready"];
const lifecycle = [
  "session_created",
  ...inside,
  ...inside,
  ...inside,
  "session_started",
  "party_completed",
  "party_completed",
  "party_completed",
  "session_completed",
];
/** One of the record at each call, one of the copy that is kept, and the events. */
const writesOfLifecycle = 10 + 1 + lifecycle.length;

/** Every call of a keygen session, in turn; each may be a repeat, as far as an ended session takes one. */
async function runOn(
  coordinator: Pick<Instance, "coordinator">["coordinator"],
  requestId: string,
): Promise<void> {
  const instance = { coordinator };
  const created = await coordinator.createSession(anybody, request({ requestId }));
  const { sessionId, status } = created.record;
  if (status !== "completed") await startOn(() => instance, created);
  for (const partyId of ["p0", "p1", "p2"]) await reportOn(instance, sessionId, partyId);
}

async function isComplete(instance: Instance, sessionId: string): Promise<boolean> {
  const record = (await instance.sessions.read(sessionId))?.record;
  return record === undefined || record.publishedCount === record.transitions.length;
}

describe("an instance that dies between two writes", () => {
  it("leaves events that another one stores, in order and once, whatever was written last", async () => {
    await using trio = await openTrio();
    trio.b.keepHouse();
    const dies = async (writes: number): Promise<void> => {
      const requestId = `dies-after-${writes}`;
      const sessionId = sessionIdFor(requestId);
      const running = runOn(trio.a.mortal(writes), requestId);
      if (writes === writesOfLifecycle) return running;
      await assert.rejects(running, /this instance is dead/);
      await until("another one took over", () => isComplete(trio.b, sessionId), 60_000);
      const record = (await trio.b.sessions.read(sessionId))?.record;
      const decided = record?.transitions.map(({ type }) => type) ?? [];
      assert.deepEqual(await eventTypesOf(trio.b, sessionId), decided, requestId);
      await runOn(trio.b.coordinator, requestId);
      assert.deepEqual(await eventTypesOf(trio.b, sessionId), lifecycle, requestId);
    };
    await Promise.all(Array.from({ length: writesOfLifecycle + 1 }, (_, writes) => dies(writes)));
  });

  it("is followed at once by one that is called, which stores what is missing first", async () => {
    await using trio = await openTrio();
    const dies = async (writes: number): Promise<void> => {
      const requestId = `dies-after-${writes}`;
      await assert.rejects(runOn(trio.a.mortal(writes), requestId), /this instance is dead/);
      await runOn(trio.b.coordinator, requestId);
      const sessionId = sessionIdFor(requestId);
      assert.deepEqual(await eventTypesOf(trio.a, sessionId), lifecycle, requestId);
      assert.equal((await trio.a.sessions.kept(sessionId))?.status, "completed");
    };
    await Promise.all(Array.from({ length: writesOfLifecycle }, (_, writes) => dies(writes)));
  });

  it("leaves an expiry that another one announces, once", async () => {
    await using trio = await openTrio();
    const mortal = trio.a.mortal(3);
    const { record } = await mortal.createSession(anybody, request());
    trio.clock.advance(600_001);
    // It ends the session, and dies before it says so.
    await mortal.housekeeping.expireDue();
    trio.clock.advance(500);
    await mortal.housekeeping.expireDue();
    const { sessionId } = record;
    assert.equal((await trio.b.sessions.read(sessionId))?.record.status, "expired");
    assert.deepEqual(await eventTypesOf(trio.b, sessionId), ["session_created"]);
    trio.b.keepHouse();
    await until("the event", () => isComplete(trio.b, sessionId));
    const types = await eventTypesOf(trio.b, sessionId);
    assert.deepEqual(types, ["session_created", "session_expired"]);
  });
});

describe("a session that expired while no instance ran", () => {
  it("has its one event within two seconds of their return", async () => {
    await using trio = await openTrio();
    const { record } = await trio.a.coordinator.createSession(anybody, request());
    const { sessionId, expiresAt } = record;
    await trio.a[Symbol.asyncDispose]();
    await trio.b[Symbol.asyncDispose]();
    trio.clock.advance(3_600_000);
    const { keyring, clock, server } = trio;
    const open = (): Promise<Instance> => openInstance({ url: server.url, keyring, clock });
    await using one = await open();
    await using other = await open();
    const backAt = performance.now();
    one.keepHouse();
    other.keepHouse();
    await until("the event", async () =>
      (await eventTypesOf(one, sessionId)).includes("session_expired"),
    );
    const late = performance.now() - backAt;
    assert.ok(late < crowded(2_000), `it came after ${late} ms`);
    await until("both know that it is stored", async () => isComplete(other, sessionId));
    const types = await eventTypesOf(other, sessionId);
    assert.deepEqual(types, ["session_created", "session_expired"]);
    const upTo = await other.events.lastSequence();
    for await (const { event } of other.events.read({ after: 1, upTo, sessionId })) {
      assert.equal(event.createdAt, expiresAt);
    }
  });
});

describe("roles of a session", () => {
  it("are those at its creation, whatever its parties register as later", async () => {
    await using trio = await openTrio();
    const created = await trio.a.coordinator.createSession(anybody, request());
    const { sessionId } = created.record;
    const rolesOn = async (instance: Instance): Promise<readonly string[]> =>
      (await instance.coordinator.getSession(anybody, sessionId)).parties.map(({ role }) => role);
    await trio.register("p0", "delegate");
    await joinOn(trio.b, created, "p0");
    await trio.register("p1", "temporary");
    assert.deepEqual(await rolesOn(trio.a), ["persistent", "persistent", "persistent"]);
    assert.deepEqual(await rolesOn(trio.b), ["persistent", "persistent", "persistent"]);
  });
});
