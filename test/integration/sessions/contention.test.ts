import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { callBudgetMs } from "../../../src/domain/call-budget.ts";
import { untilHeld } from "../../../src/nats/bucket.ts";
import { openJoinMissCounter } from "../../../src/nats/sessions/join-miss-counter.ts";
import { until } from "../../support/until.ts";
import { aRunningRecord, refusal } from "../../unit/domain/sessions/session-records.ts";
import { openPair } from "./instances.ts";

const many = Array.from({ length: 12 }, (_, index) => index);

describe("writes of two instances at the same place", () => {
  it("lose no registration, and keep one time of the first", async () => {
    await using pair = await openPair();
    const outcomes = await Promise.allSettled(
      many.map((number) =>
        (number % 2 === 0 ? pair.a : pair.b).parties.upsert("p0", (known) => ({
          partyId: "p0",
          role: "persistent",
          version: String(Number(known?.version ?? 0) + 1),
          offlineMode: false,
          registeredAt: known?.registeredAt ?? number + 1,
          renewedAt: number,
        })),
      ),
    );
    // On a machine that is too slow for so many, some are told to try again, and may have been stored all the same.
    const parties = outcomes.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    for (const one of outcomes) {
      if (one.status === "rejected") refusal("BROKER_UNAVAILABLE")(one.reason);
    }
    assert.equal(new Set(parties.map(({ registeredAt }) => registeredAt)).size, 1);
    assert.equal(new Set(parties.map(({ version }) => version)).size, parties.length);
    const [listed, ...others] = await pair.b.parties.all();
    assert.ok(Number(listed?.version) >= parties.length);
    assert.deepEqual(others, []);
  });

  it("count every wrong token", async () => {
    await using pair = await openPair();
    const [onA, onB] = [openJoinMissCounter(pair.a.nats), openJoinMissCounter(pair.b.nats)];
    const counts = await Promise.all(
      many.map(async (number) => (number % 2 === 0 ? onA : onB).add("s", "p0")),
    );
    assert.deepEqual(
      counts.toSorted((a, b) => a - b),
      many.map((number) => number + 1),
    );
    assert.equal(await onA.count("s", "p0"), many.length);
    assert.equal(await onB.count("s", "p1"), 0);
  });

  it("make one session", async () => {
    await using pair = await openPair();
    const outcomes = await Promise.all(
      many.map((number) => {
        const { sessions } = number % 2 === 0 ? pair.a : pair.b;
        return sessions.create({ ...aRunningRecord(), failureReason: String(number) });
      }),
    );
    assert.equal(outcomes.filter(({ created }) => created).length, 1);
    assert.equal(new Set(outcomes.map(({ stored }) => stored.record.failureReason)).size, 1);
  });

  it("give up when the budget of a call is spent", async () => {
    const startedAt = performance.now();
    let tries = 0;
    const losing = untilHeld("writing", async () => {
      tries += 1;
      return undefined;
    });
    await assert.rejects(losing, refusal("BROKER_UNAVAILABLE"));
    assert.ok(performance.now() - startedAt < callBudgetMs + 1_000);
    const triesSoFar = tries;
    assert.ok(triesSoFar > 1);
    // Nor does it go on behind the back of whoever gave up.
    await until("two pauses have gone by", () => performance.now() - startedAt > callBudgetMs + 60);
    assert.equal(tries, triesSoFar);
  });
});

describe("wrong tokens", () => {
  it("are forgotten by themselves, a minute after the last one", async () => {
    await using pair = await openPair();
    await openJoinMissCounter(pair.a.nats).add("s", "p0");
    const { jsm } = pair.b.nats;
    const [stream, subject] = ["KV_mpc_presence", "$KV.mpc_presence.miss.s.p0"];
    const stored = await jsm.streams.getMessage(stream, { last_by_subj: subject });
    assert.equal(stored?.header.get("Nats-TTL"), "60s");
    const short = openJoinMissCounter(pair.a.nats, { rememberMs: 1_000 });
    assert.equal(await short.add("s", "p0"), 2);
    await until("forgotten on the other", async () => {
      return (await openJoinMissCounter(pair.b.nats).count("s", "p0")) === 0;
    });
    assert.equal(await openJoinMissCounter(pair.b.nats).add("s", "p0"), 1);
  });
});
