import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { noEvents } from "../../../src/domain/parties/party-streams.ts";
import { startRouter, type TestInstance } from "../../support/test-instances.ts";
import { until } from "../../support/until.ts";

async function seenAt(instance: TestInstance, partyId = "party-1"): Promise<number> {
  return (await instance.presence.lastSeenAt([partyId])).get(partyId) ?? 0;
}

async function writes(instance: TestInstance): Promise<number> {
  const info = await instance.nats.jsm.streams.info("KV_mpc_presence", {
    subjects_filter: "$KV.mpc_presence.seen.*",
  });
  return Object.keys(info.state.subjects ?? {}).length;
}

describe("presence", () => {
  it("shows a first sign of life on every instance at once", async () => {
    await using router = await startRouter();
    assert.equal(await seenAt(router.b), 0);
    const before = Date.now();
    await router.a.presence.seen("party-1");
    assert.ok((await seenAt(router.a)) >= before);
    assert.ok((await seenAt(router.b)) >= before);
  });

  it("shows the newest sign of life on other instances within a quarter of the presence time", async () => {
    await using router = await startRouter({ presenceTimeoutMs: 2_000 });
    await router.a.presence.seen("party-1");
    const first = await seenAt(router.b);
    await until("the clock has gone on", () => Date.now() > first + 20);
    await router.a.presence.seen("party-1");
    const newest = await seenAt(router.a);
    assert.ok(newest > first);
    await until("the other one knows", async () => (await seenAt(router.b)) === newest, 600);
  });

  it("costs few writes for a party that is seen all the time", async () => {
    await using router = await startRouter({ presenceTimeoutMs: 2_000 });
    const before = await router.a.nats.jsm.streams.info("KV_mpc_presence");
    const endAt = Date.now() + 1_500;
    await until("time is over", async () => {
      await router.a.presence.seen("party-1");
      return Date.now() > endAt;
    });
    const after = await router.a.nats.jsm.streams.info("KV_mpc_presence");
    // The two instances' own signs of life are among them.
    assert.ok(after.state.last_seq - before.state.last_seq <= 8);
    assert.equal(await writes(router.a), 1);
  });

  it("costs one write for a party that others saw before", async () => {
    await using router = await startRouter({ presenceTimeoutMs: 1_000 });
    await router.a.presence.seen("party-1");
    const first = await seenAt(router.b);
    const sent: string[] = [];
    router.b.nats.nc.subscribe("$KV.mpc_presence.seen.party-1", {
      callback: (_error, { subject }) => void sent.push(subject),
    });
    router.b.nats.nc.subscribe("$JS.API.STREAM.MSG.GET.KV_mpc_presence", {
      callback: (_error, { subject }) => void sent.push(subject),
    });
    await until("the clock has gone on", () => Date.now() > first);
    await router.b.presence.seen("party-1");
    await router.b.nats.nc.flush();
    assert.deepEqual(sent, ["$KV.mpc_presence.seen.party-1"]);
    assert.ok((await seenAt(router.a)) > first);
  });

  it("never lets an older sign of life of one instance replace a newer one of another", async () => {
    await using router = await startRouter({ presenceTimeoutMs: 1_000 });
    await using watching = await router.openInstance();
    let newest = 0;
    const endAt = Date.now() + 1_500;
    await until("time is over", async () => {
      await Promise.all([router.a.presence.seen("party-1"), router.b.presence.seen("party-1")]);
      const seen = await seenAt(watching);
      assert.ok(seen >= newest);
      newest = seen;
      return Date.now() > endAt;
    });
    const last = Math.max(await seenAt(router.a), await seenAt(router.b));
    await until("the last one is known", async () => (await seenAt(watching)) === last, 500);
  });

  it("is written again after the memory of the server was lost", async () => {
    await using router = await startRouter();
    await router.a.presence.seen("party-1");
    const seen = await seenAt(router.b);
    await router.crashServer();
    await until("written again", async () => (await seenAt(router.b)) === seen);
    await using fresh = await router.openInstance();
    assert.equal(await seenAt(fresh), seen);
  });

  it("leaves its last signs of life behind when the instance stops", async () => {
    await using router = await startRouter();
    const stopping = await router.openInstance();
    await stopping.presence.seen("party-1");
    const first = await seenAt(router.b);
    await until("the clock has gone on", () => Date.now() > first + 5);
    await stopping.presence.seen("party-1");
    const last = await seenAt(stopping);
    await stopping[Symbol.asyncDispose]();
    assert.ok(last > first);
    assert.equal(await seenAt(router.b), last);
  });

  it("reads many parties at once", async () => {
    await using router = await startRouter();
    const partyIds = Array.from({ length: 1_200 }, (_, index) => `party-${index}`);
    await Promise.all(partyIds.map((partyId) => router.a.presence.seen(partyId)));
    for (const some of [partyIds, partyIds.slice(0, 400)]) {
      const seen = await router.b.presence.lastSeenAt([...some, "unknown"]);
      assert.equal(seen.get("unknown"), 0);
      assert.ok(some.every((partyId) => (seen.get(partyId) ?? 0) > 0));
    }
  });
});

describe("party streams", () => {
  it("count a call as a sign of life only beside an open stream, on whatever instance", async () => {
    await using router = await startRouter({ presenceTimeoutMs: 1_000 });
    router.a.partyStreams.noteCall("party-1");
    router.b.partyStreams.noteCall("party-1");
    const stream = await router.a.partyStreams.enter("party-1", noEvents);
    const entered = await seenAt(router.b);
    assert.ok(entered > 0);
    for (const instance of [router.a, router.b]) {
      const before = await seenAt(instance);
      await until("the call was seen", async () => {
        instance.partyStreams.noteCall("party-1");
        return (await seenAt(instance)) > before;
      });
    }
    await stream[Symbol.asyncDispose]();
    await stream[Symbol.asyncDispose]();
    const left = await seenAt(router.a);
    router.a.partyStreams.noteCall("party-1");
    stream.alive();
    await until("the time of asking is over", () => Date.now() > left + 400);
    router.a.partyStreams.noteCall("party-1");
    await router.a.nats.nc.flush();
    assert.equal(await seenAt(router.a), left);
  });

  it("take the party online while its connection proves alive", async () => {
    await using router = await startRouter({ presenceTimeoutMs: 400 });
    await using stream = await router.a.partyStreams.enter("party-1", []);
    const entered = await seenAt(router.b);
    await until("still seen after thrice the presence time", async () => {
      stream.alive();
      assert.ok(Date.now() - (await seenAt(router.b)) < 400);
      return Date.now() > entered + 1_200;
    });
  });

  it("do not count as an audience when they want no events", async () => {
    await using router = await startRouter();
    await using stream = await router.a.partyStreams.enter("party-1", noEvents);
    stream.alive();
    const publication = {
      eventId: "event-1",
      eventType: "custom",
      sessionId: "session-1",
      thresholdN: 0,
      thresholdT: 0,
      selectedParties: ["party-1"],
      joinTokens: new Map<string, string>(),
      messageHash: new Uint8Array(),
      createdAt: 0,
      expiresAt: 0,
      keygenSessionId: "",
    };
    assert.equal(await router.b.publisher.publish({ kind: "open" }, publication), 0);
  });
});
