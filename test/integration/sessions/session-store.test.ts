import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { SessionStore } from "../../../src/domain/sessions/session-ports.ts";
import type { SessionRecord, StoredSession } from "../../../src/domain/sessions/session.ts";
import { connectNats, type Nats } from "../../../src/nats/connection.ts";
import { provision } from "../../../src/nats/provisioning.ts";
import { openSessionStore } from "../../../src/nats/sessions/session-store.ts";
import { silentLogger } from "../../../src/telemetry/logger.ts";
import { startNatsServer, type NatsTestServer } from "../../support/nats-server.ts";
import { until } from "../../support/until.ts";
import { aRecord, aRunningRecord } from "../../unit/domain/sessions/session-records.ts";

interface Setup extends AsyncDisposable {
  readonly server: NatsTestServer;
  readonly a: SessionStore;
  readonly b: SessionStore;
  /** One more instance. */
  readonly open: () => Promise<SessionStore>;
}

async function setup(): Promise<Setup> {
  await using resources = new AsyncDisposableStack();
  const server = resources.use(await startNatsServer());
  const open = async (): Promise<SessionStore> => {
    const nats: Nats = held.use(
      await connectNats({
        url: server.url,
        name: "test",
        connectTimeoutMs: 5_000,
        logger: silentLogger,
        clock: { nowMs: () => Date.now() },
      }),
    );
    await provision(nats);
    return held.use(await openSessionStore(nats, { logger: silentLogger }));
  };
  const held = new AsyncDisposableStack();
  resources.use(held);
  const [a, b] = [await open(), await open()];
  const all = resources.move();
  return { server, a, b, open, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

function named(sessionId: string): SessionRecord {
  return { ...aRunningRecord(), sessionId };
}

async function created(store: SessionStore, sessionId: string): Promise<StoredSession> {
  const { created: isNew, stored } = await store.create(named(sessionId));
  assert.equal(isNew, true);
  return stored;
}

async function keptIds(store: SessionStore, before?: number): Promise<readonly string[]> {
  const ids: string[] = [];
  for await (const piece of store.keptBefore(before)) {
    ids.push(...piece.map(({ record }) => record.sessionId));
  }
  return ids;
}

describe("the session store", () => {
  it("gives back what was stored, bytes and all", async () => {
    await using stores = await setup();
    const record = { ...named("s-1"), publicKey: new Uint8Array([0, 255, 7]) };
    await stores.a.create(record);
    assert.deepEqual((await stores.b.read("s-1"))?.record, record);
    assert.equal(await stores.b.read("s-2"), undefined);
  });

  it("creates a record once and tells the other what is there", async () => {
    await using stores = await setup();
    const [one, two] = await Promise.all([
      stores.a.create(named("s-1")),
      stores.b.create({ ...named("s-1"), thresholdT: 3 }),
    ]);
    assert.equal(Number(one.created) + Number(two.created), 1);
    assert.deepEqual(one.stored, two.stored);
  });

  it("replaces only the revision that was read", async () => {
    await using stores = await setup();
    const stored = await created(stores.a, "s-1");
    const change = { ...stored.record, failureReason: "x" };
    const results = await Promise.all([
      stores.a.replace(stored, change),
      stores.b.replace(stored, change),
    ]);
    assert.equal(results.filter((result) => result !== undefined).length, 1);
    assert.equal(await stores.b.replace(stored, change), undefined);
  });

  it("knows at once what it wrote, and after catching up what others wrote", async () => {
    await using stores = await setup();
    const stored = await created(stores.a, "s-1");
    assert.deepEqual(stores.a.cached("s-1"), stored);
    await stores.b.catchUp();
    assert.deepEqual(stores.b.cached("s-1"), stored);
    assert.equal([...stores.b.all()].length, 1);
    const later = await stores.open();
    assert.deepEqual(later.cached("s-1"), stored);
  });

  it("tells listeners of every change on any instance, in order, until they stop", async () => {
    await using stores = await setup();
    const heard: number[] = [];
    const off = stores.b.onChange(({ revision }) => heard.push(revision));
    const first = await created(stores.a, "s-1");
    await stores.b.catchUp();
    const second = await stores.a.replace(first, { ...first.record, failureReason: "x" });
    await stores.b.read("s-1");
    await stores.b.catchUp();
    assert.deepEqual(heard, [first.revision, second?.revision]);
    off();
    await created(stores.b, "s-2");
    assert.equal(heard.length, 2);
  });

  it("removes one revision only, and then catches up all the same", async () => {
    await using stores = await setup();
    const first = await created(stores.a, "s-1");
    await stores.b.catchUp();
    await stores.a.remove(first);
    await stores.a.remove(first);
    assert.equal(stores.a.cached("s-1"), undefined);
    assert.equal(await stores.b.read("s-1"), undefined);
    assert.equal(stores.b.cached("s-1"), undefined);
    const again = await created(stores.a, "s-1");
    await stores.b.remove(first);
    assert.equal((await stores.b.read("s-1"))?.revision, again.revision);
    await stores.a.remove(again);
    // The newest write is gone: a new instance never hears it, and must not wait for it.
    const later = await stores.open();
    await later.catchUp();
    assert.equal([...later.all()].length, 0);
  });

  it("goes on after nats-server was killed, with what happened meanwhile", async () => {
    await using stores = await setup();
    const first = await created(stores.a, "s-1");
    await stores.b.catchUp();
    await stores.server.kill("SIGKILL");
    await stores.server.restart();
    const second = await stores.a.replace(first, { ...first.record, failureReason: "x" });
    assert.ok(second);
    await until("the change is heard", () => stores.b.cached("s-1")?.revision === second.revision);
    await stores.b.catchUp();
    await created(stores.b, "s-2");
    await stores.a.catchUp();
    assert.ok(stores.a.cached("s-2"));
  });

  it("keeps completed keygen sessions apart, once", async () => {
    await using stores = await setup();
    await stores.a.keep(named("s-1"));
    await stores.b.keep({ ...named("s-1"), thresholdT: 3 });
    await stores.a.keep({ ...aRecord(), sessionId: "s-2" });
    assert.equal((await stores.b.kept("s-1"))?.thresholdT, 2);
    assert.equal(await stores.b.kept("s-3"), undefined);
    assert.deepEqual(await keptIds(stores.b), ["s-2", "s-1"]);
    assert.equal([...stores.b.all()].length, 0);
  });

  it("gives kept sessions in pieces, the last one first, from any place on", async () => {
    await using stores = await setup();
    assert.deepEqual(await keptIds(stores.a), []);
    const ids = Array.from({ length: 300 }, (_, index) => `s-${index}`);
    for (const id of ids) await stores.a.keep(named(id));
    assert.deepEqual(await keptIds(stores.b), ids.toReversed());
    assert.deepEqual(await keptIds(stores.b, 101), ids.slice(0, 100).toReversed());
    assert.deepEqual(await keptIds(stores.b, 1), []);
    assert.deepEqual(await keptIds(stores.b, 1e15), ids.toReversed());
    for await (const piece of stores.b.keptBefore()) {
      assert.ok(piece.length < ids.length);
      break;
    }
  });
});
