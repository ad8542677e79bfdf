import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { createKeyring } from "../../../src/domain/secrets/keyring.ts";
import { buckets } from "../../../src/nats/subjects.ts";
import { crowded } from "../../support/crowded.ts";
import { startNatsCluster, type NatsCluster } from "../../support/nats-cluster.ts";
import { until } from "../../support/until.ts";
import { anybody, request } from "./calls.ts";
import { eventTypesOf, openInstance, type Instance } from "./instances.ts";

interface Setup extends AsyncDisposable {
  readonly cluster: NatsCluster;
  readonly a: Instance;
  readonly b: Instance;
}

/** Two instances on a cluster of three. */
async function setup(): Promise<Setup> {
  await using resources = new AsyncDisposableStack();
  const cluster = resources.use(await startNatsCluster());
  const keyring = createKeyring([randomBytes(32)]);
  const clock = { nowMs: () => Date.now() };
  const options = { url: cluster.url, keyring, clock };
  const a = resources.use(await openInstance(options));
  const b = resources.use(await openInstance(options));
  const held = resources.move();
  return { cluster, a, b, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

interface Expiring {
  readonly sessionId: string;
  readonly expiresAt: number;
}

/** Milliseconds after its expiry at which the session's event was seen to be stored. */
async function lateness(instance: Instance, { sessionId, expiresAt }: Expiring): Promise<number> {
  const isStored = async (): Promise<boolean> => {
    try {
      return (await eventTypesOf(instance, sessionId)).includes("session_expired");
    } catch {
      // There is no leader.
      return false;
    }
  };
  await until("the event", isStored, 30_000);
  return Date.now() - expiresAt;
}

describe("sessions on a cluster", () => {
  it("expire once and on time, also when the leader dies", async (test) => {
    await using env = await setup();
    const { a, b, cluster } = env;
    const create = async (expiresInMs: number): Promise<Expiring> =>
      (await a.coordinator.createSession(anybody, request({ expiresInMs }))).record;
    const afterwards = await create(14_000);
    const meanwhile = await create(1_000);
    a.keepHouse();
    b.keepHouse();
    await cluster.kill(await cluster.leaderOf(`KV_${buckets.sessions}`));
    const lateMs = [await lateness(b, meanwhile), await lateness(a, afterwards)] as const;
    test.diagnostic(`without a leader: ${lateMs[0]} ms late, with the next one: ${lateMs[1]} ms`);
    assert.ok(lateMs[0] < 20_000, `${lateMs[0]} ms`);
    assert.ok(lateMs[1] < crowded(2_000), `${lateMs[1]} ms`);
    for (const { sessionId } of [meanwhile, afterwards]) {
      await until("both know", async () => {
        const record = (await b.sessions.read(sessionId))?.record;
        return record?.publishedCount === 2;
      });
      const types = await eventTypesOf(a, sessionId);
      assert.deepEqual(types, ["session_created", "session_expired"]);
    }
  });

  it("and parties are listed right after a write elsewhere", async () => {
    await using env = await setup();
    const { a, b } = env;
    for (let number = 0; number < 100; number += 1) {
      const [writer, reader] = number % 2 === 0 ? [a, b] : [b, a];
      const partyId = `p-${number}`;
      await writer.parties.upsert(partyId, () => ({
        partyId,
        role: "persistent",
        version: "1",
        offlineMode: false,
        registeredAt: number,
        renewedAt: number,
      }));
      await writer.presence.seen(partyId);
      assert.equal((await reader.parties.all()).length, number + 1);
      assert.ok(Number((await reader.presence.lastSeenAt([partyId])).get(partyId)) > 0);
      const { record } = await writer.coordinator.createSession(anybody, request());
      const query = { status: "", type: "", partyId: "", pageSize: 1, pageToken: "" };
      const { records } = await reader.coordinator.listSessions(anybody, query);
      assert.equal(records[0]?.sessionId, record.sessionId);
    }
  });
});
