import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CreateRequest } from "../../../src/domain/sessions/create-request.ts";
import type { CreatedSession } from "../../../src/domain/sessions/control-plane.ts";
import { alternating, anybody, key, openTrio, reportOn, request, startOn } from "./calls.ts";
import { eventTypesOf } from "./instances.ts";
import { refusal } from "../../unit/domain/sessions/session-records.ts";

describe("creating", () => {
  it("gives the same session and tokens for a repeated request, on both at once", async () => {
    await using pair = await openTrio();
    const { a, b } = pair;
    const named = request({ requestId: "request-1" });
    const all = await Promise.all(
      [a, b, a, b].map(({ coordinator }) => coordinator.createSession(anybody, named)),
    );
    const [first] = all;
    assert.ok(first);
    for (const one of all) assert.deepEqual(one, first);
    assert.deepEqual(await eventTypesOf(a, first.record.sessionId), ["session_created"]);
    await assert.rejects(
      b.coordinator.createSession(anybody, request({ requestId: "request-1", thresholdT: 3 })),
      refusal("REQUEST_ID_REUSED"),
    );
  });

  it("makes a new session for each request without an id", async () => {
    await using pair = await openTrio();
    const one = await pair.a.coordinator.createSession(anybody, request());
    const two = await pair.b.coordinator.createSession(anybody, request());
    assert.notEqual(one.record.sessionId, two.record.sessionId);
    assert.match(one.record.sessionId, /^ses_[0-9a-f]{32}$/);
  });

  it("chooses among online parties by role, and refuses when there are too few", async () => {
    await using pair = await openTrio();
    await pair.register("d0", "delegate");
    const counts = [
      { role: "persistent", count: 2 },
      { role: "delegate", count: 1 },
    ];
    const byRole = request({ selectedParties: [], roleCounts: counts });
    const { record } = await pair.b.coordinator.createSession(anybody, byRole);
    assert.equal(record.parties[2]?.partyId, "d0");
    assert.equal(record.parties[2].role, "delegate");
    pair.clock.advance(61_000);
    await assert.rejects(
      pair.a.coordinator.createSession(anybody, byRole),
      refusal("NOT_ENOUGH_PARTIES"),
    );
    await pair.register("o0", "delegate", true);
    for (const partyId of ["o1", "o2"]) await pair.register(partyId, "persistent", true);
    pair.clock.advance(61_000);
    await assert.rejects(
      pair.a.coordinator.createSession(anybody, byRole),
      refusal("NOT_ENOUGH_PARTIES"),
    );
    const long = { ...byRole, expiresInMs: 3_600_000 };
    const offline = await pair.a.coordinator.createSession(anybody, long);
    assert.deepEqual(offline.record.parties.map(({ partyId }) => partyId).toSorted(), [
      "o0",
      "o1",
      "o2",
    ]);
  });

  it("gives sessions of parties in offline mode a day, others the default", async () => {
    await using pair = await openTrio();
    const quick = await pair.a.coordinator.createSession(anybody, request());
    assert.equal(quick.record.expiresAt - quick.record.createdAt, 600_000);
    await pair.register("o1", "persistent", true);
    const withOffline = request({ selectedParties: ["p0", "p1", "o1"] });
    const { record } = await pair.b.coordinator.createSession(anybody, withOffline);
    assert.equal(record.expiresAt - record.createdAt, 24 * 3_600_000);
    const brief = { ...withOffline, expiresInMs: 5_000 };
    const short = await pair.b.coordinator.createSession(anybody, brief);
    assert.equal(short.record.expiresAt - short.record.createdAt, 5_000);
  });

  it("signs with the indexes of the keygen session, which must be completed and fit", async () => {
    await using pair = await openTrio();
    const next = alternating(pair);
    const keygen = await next().coordinator.createSession(anybody, request());
    const keygenSessionId = keygen.record.sessionId;
    const signing = request({
      sessionType: "sign",
      messageHash: new Uint8Array(32),
      selectedParties: ["p2", "p1"],
      keygenSessionId,
    });
    const create = (changes: Partial<CreateRequest>): Promise<CreatedSession> =>
      next().coordinator.createSession(anybody, { ...signing, ...changes });
    await assert.rejects(create({}), refusal("KEYGEN_NOT_COMPLETED"));
    await assert.rejects(create({ keygenSessionId: "unknown" }), refusal("KEYGEN_NOT_COMPLETED"));
    await startOn(next, keygen);
    for (const partyId of ["p0", "p1", "p2"]) await reportOn(next(), keygenSessionId, partyId);
    const { record } = await create({});
    assert.deepEqual(
      record.parties.map(({ partyId, partyIndex }) => [partyId, partyIndex]),
      [
        ["p2", 2],
        ["p1", 1],
      ],
    );
    assert.deepEqual(record.publicKey, key);
    await assert.rejects(create({ thresholdT: 1 }), refusal("INVALID_FIELD"));
    await assert.rejects(create({ selectedParties: ["p1", "p9"] }), refusal("INVALID_FIELD"));
    const other = record.sessionId;
    await assert.rejects(create({ keygenSessionId: other }), refusal("INVALID_FIELD"));
  });
});

describe("listing", () => {
  it("shows what was created a moment ago on the other instance, newest first, by pages", async () => {
    await using pair = await openTrio();
    const next = alternating(pair);
    const ids: string[] = [];
    for (let count = 0; count < 5; count += 1) {
      pair.clock.advance(10);
      ids.push((await next().coordinator.createSession(anybody, request())).record.sessionId);
    }
    const query = { status: "", type: "", partyId: "p1", pageSize: 3, pageToken: "" };
    const first = await pair.b.coordinator.listSessions(anybody, query);
    const { nextPageToken: pageToken } = first;
    const second = await pair.a.coordinator.listSessions(anybody, { ...query, pageToken });
    const listed = [...first.records, ...second.records].map(({ sessionId }) => sessionId);
    assert.deepEqual(listed, ids.toReversed());
    assert.equal(second.nextPageToken, "");
  });
});
