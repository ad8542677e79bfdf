import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isRouterError, type RouterErrorReason } from "../../../src/domain/errors.ts";
import type { EventPublication } from "../../../src/domain/events/event-publication.ts";
import { crowded } from "../../support/crowded.ts";
import {
  listen,
  open,
  register,
  startRouter,
  type TestInstance,
} from "../../support/test-instances.ts";
import { until } from "../../support/until.ts";

function publication(changes: Partial<EventPublication> = {}): EventPublication {
  return {
    eventId: "event-1",
    eventType: "custom",
    sessionId: "session-1",
    thresholdN: 2,
    thresholdT: 2,
    selectedParties: ["party-1", "party-2"],
    joinTokens: new Map(),
    messageHash: new Uint8Array(),
    createdAt: 0,
    expiresAt: 0,
    keygenSessionId: "",
    ...changes,
  };
}

function publish(instance: TestInstance, changes: Partial<EventPublication> = {}): Promise<number> {
  return instance.publisher.publish(open, publication(changes));
}

async function refuses(attempt: Promise<unknown>, reason: RouterErrorReason): Promise<void> {
  await assert.rejects(attempt, (error) => isRouterError(error, reason));
}

describe("publishing", () => {
  it("passes an event of an unknown session on to the parties it selects", async () => {
    await using router = await startRouter();
    await register(router.a, "party-1", "party-3");
    await using one = await listen(router.b, "party-1");
    await using other = await listen(router.b, "party-3");
    const before = Date.now();
    assert.equal(await publish(router.a), 1);
    await until("heard", () => one.events.length === 1);
    const [event] = one.events;
    assert.equal(event?.eventId, "event-1");
    assert.ok((event?.createdAt ?? 0) >= before);
    assert.deepEqual(other.events, []);
  });

  it("gives an event without an id one, each time another", async () => {
    await using router = await startRouter();
    await register(router.a, "party-1");
    await using listening = await listen(router.a, "party-1");
    await publish(router.a, { eventId: "" });
    await publish(router.b, { eventId: "" });
    await until("heard", () => listening.events.length === 2);
    const [first, second] = listening.ids();
    assert.match(first ?? "", /^[0-9a-f]{32}$/);
    assert.notEqual(first, second);
  });

  it("stores the same event once, and refuses another one of its id, on any instance", async () => {
    await using router = await startRouter();
    await register(router.a, "party-1");
    await using listening = await listen(router.a, "party-1");
    const joinTokens = new Map([["party-1", "token"]]);
    await publish(router.a, { joinTokens });
    await publish(router.b, { joinTokens });
    assert.equal(await router.a.store.lastSequence(), 1);
    const delegateUserShare = {
      delegatePartyId: "party-1",
      encryptedShare: new Uint8Array(2),
      partyIndex: 0,
    };
    const others: Partial<EventPublication>[] = [
      { joinTokens: new Map([["party-1", "other"]]) },
      { joinTokens: new Map([["party-2", "token"]]) },
      { joinTokens, eventType: "custom-2" },
      { joinTokens, sessionId: "session-2" },
      { joinTokens, thresholdN: 3 },
      { joinTokens, thresholdT: 1 },
      { joinTokens, selectedParties: ["party-1"] },
      { joinTokens, selectedParties: ["party-2", "party-1"] },
      { joinTokens, messageHash: new Uint8Array(32) },
      { joinTokens, createdAt: 1 },
      { joinTokens, expiresAt: 1 },
      { joinTokens, keygenSessionId: "keygen" },
      { joinTokens, delegateUserShare },
    ];
    for (const changes of others) await refuses(publish(router.b, changes), "EVENT_EXISTS");
    assert.equal(await router.a.store.lastSequence(), 1);
    await until("heard", () => listening.events.length === 1);
  });

  it("stores one of concurrent events of the same id", async () => {
    await using router = await startRouter();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, index) =>
        publish(index % 2 === 0 ? router.a : router.b, { thresholdN: index % 5 }),
      ),
    );
    assert.equal(await router.a.store.lastSequence(), 1);
    assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 2);
  });

  it("keeps neither token nor share of an event that it passes on", async () => {
    await using router = await startRouter();
    await publish(router.a, {
      joinTokens: new Map([["party-1", "a-secret-token"]]),
      delegateUserShare: {
        delegatePartyId: "party-1",
        encryptedShare: Buffer.from("a-secret-share"),
        partyIndex: 0,
      },
    });
    const stored = await router.a.nats.jsm.streams.getMessage("MPC_EVT", { seq: 1 });
    const text = Buffer.from(stored?.data ?? []).toString();
    assert.match(text, /event-1/);
    assert.doesNotMatch(text, /a-secret-token|a-secret-share/);
    assert.ok(!text.includes(Buffer.from("a-secret-share").toString("base64")));
  });

  it("counts parties with a stream that wants the event, once each, over all instances", async () => {
    await using router = await startRouter();
    await register(router.a, "party-1", "party-2", "party-3", "party-4");
    const parties = { selectedParties: ["party-1", "party-2", "party-3", "unknown"] };
    assert.equal(await publish(router.a, { ...parties, eventId: "none" }), 0);
    await using first = await listen(router.a, "party-1");
    await using second = await listen(router.b, "party-1");
    await using third = await listen(router.b, "party-2", { eventTypes: ["custom"] });
    await using fourth = await listen(router.a, "party-3", { eventTypes: ["other"] });
    await using fifth = await listen(router.a, "party-4");
    for (const [index, instance] of [router.a, router.b].entries()) {
      assert.equal(await publish(instance, { ...parties, eventId: `all-${index}` }), 2);
    }
    assert.equal(await publish(router.a, { eventId: "nobody", selectedParties: [] }), 0);
    await second[Symbol.asyncDispose]();
    assert.equal(await publish(router.b, { ...parties, eventId: "still-two" }), 2);
    await first[Symbol.asyncDispose]();
    await third[Symbol.asyncDispose]();
    assert.equal(await publish(router.b, { ...parties, eventId: "gone" }), 0);
    assert.equal(fourth.events.length + fifth.events.length, 0);
  });

  it("does not count streams of an instance that died, 5 s later", async () => {
    await using router = await startRouter();
    await register(router.a, "party-1");
    const dying = await router.openInstance();
    await listen(dying, "party-1");
    assert.equal(await publish(router.a, { eventId: "alive" }), 1);
    // What a killed process leaves behind: an open connection to nothing, and no sign of life.
    await dying.nats.nc.close();
    let tries = 0;
    const isNotCounted = async (): Promise<boolean> => {
      tries += 1;
      return (await publish(router.a, { eventId: `dead-${tries}` })) === 0;
    };
    await until("it does not count", isNotCounted, crowded(5_000));
    await dying[Symbol.asyncDispose]();
  });

  it("counts streams again after the server was killed", async () => {
    await using router = await startRouter();
    await register(router.a, "party-1", "party-2");
    await using one = await listen(router.a, "party-1");
    await using other = await listen(router.b, "party-2");
    await router.crashServer();
    let tries = 0;
    await until("counted", async () => {
      tries += 1;
      return (await publish(router.a, { eventId: `again-${tries}` })) === 2;
    });
    await until("heard", () => one.events.length === tries && other.events.length === tries);
  });

  it("hands session_created to the coordinator, once", async () => {
    await using router = await startRouter();
    await register(router.a, "party-1");
    await using listening = await listen(router.b, "party-1");
    const created = { eventType: "session_created", joinTokens: new Map([["party-1", "token"]]) };
    assert.equal(await publish(router.a, created), 1);
    assert.equal(await publish(router.b, created), 1);
    assert.deepEqual(router.sessions.calls, ["create session-1 of party-1 party-2"]);
    await refuses(publish(router.a, { ...created, eventId: "event-2" }), "SESSION_EXISTS");
    await until("heard", () => listening.events.length === 1);
    assert.equal(listening.events[0]?.joinToken, "token-session-1-party-1");
  });

  it("hands lifecycle events of a known session to the coordinator, once, and refusals back", async () => {
    await using router = await startRouter();
    await register(router.a, "party-1");
    await router.sessions.create(router.a.store, "session-1", ["party-1", "party-2"]);
    const failed = { eventId: "failed-1", eventType: "session_failed" };
    await publish(router.a, failed);
    await publish(router.b, failed);
    assert.deepEqual(router.sessions.calls, ["session_failed session-1 failed-1"]);
    const again = publish(router.b, { ...failed, eventId: "failed-2" });
    await refuses(again, "SESSION_COMPLETED");
  });

  it("refuses an event about one party of a known session, since it cannot say which", async () => {
    await using router = await startRouter();
    await router.sessions.create(router.a.store, "session-1", ["party-1", "party-2"]);
    for (const eventType of ["party_joined", "party_ready", "party_completed"]) {
      await refuses(publish(router.a, { eventType }), "TRANSITION_NOT_ALLOWED");
    }
    assert.equal(await router.a.store.lastSequence(), 1);
    await publish(router.a, { eventType: "party_joined", sessionId: "unknown" });
    await publish(router.a, { eventId: "event-2", eventType: "message_failed" });
    assert.equal(await router.a.store.lastSequence(), 3);
  });

  it("refuses parties, a missing event and bad fields, and stores nothing", async () => {
    await using router = await startRouter();
    const { publisher } = router.a;
    const party = { kind: "party", partyId: "party-1" } as const;
    await refuses(publisher.publish(party, publication()), "COORDINATOR_ONLY");
    await refuses(publisher.publish(open, undefined), "INVALID_FIELD");
    const share = { delegatePartyId: "p", encryptedShare: new Uint8Array(1), partyIndex: 0 };
    const bad: [Partial<EventPublication>, RouterErrorReason][] = [
      [{ eventId: "a.b" }, "INVALID_ID"],
      [{ eventType: "" }, "INVALID_ID"],
      [{ sessionId: "*" }, "INVALID_ID"],
      [{ selectedParties: ["party-1", ">"] }, "INVALID_ID"],
      [{ keygenSessionId: "a b" }, "INVALID_ID"],
      [{ joinTokens: new Map([["a.b", "x"]]) }, "INVALID_ID"],
      [{ joinTokens: new Map([["a", "x".repeat(4_097)]]) }, "INVALID_FIELD"],
      [{ messageHash: new Uint8Array(31) }, "INVALID_FIELD"],
      [{ thresholdN: -1 }, "INVALID_FIELD"],
      [{ createdAt: -1 }, "INVALID_FIELD"],
      [{ expiresAt: -1 }, "INVALID_FIELD"],
      [{ selectedParties: Array.from({ length: 101 }, () => "a") }, "INVALID_FIELD"],
      [{ delegateUserShare: { ...share, delegatePartyId: "" } }, "INVALID_ID"],
      [
        { delegateUserShare: { ...share, encryptedShare: new Uint8Array(65_537) } },
        "INVALID_FIELD",
      ],
    ];
    for (const [changes, reason] of bad) await refuses(publish(router.a, changes), reason);
    assert.equal(await router.a.store.lastSequence(), 0);
  });
});
