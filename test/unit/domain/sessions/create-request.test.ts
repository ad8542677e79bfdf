import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  checkedRequest,
  requestHashOf,
  requireOneDelegate,
  sessionIdFor,
  type CreateRequest,
} from "../../../../src/domain/sessions/create-request.ts";
import type { PlannedSeat } from "../../../../src/domain/sessions/session-shape.ts";
import { isId } from "../../../../src/domain/ids.ts";
import { refusal } from "./session-records.ts";

const none = new Uint8Array();

function keygen(changes: Partial<CreateRequest> = {}): CreateRequest {
  return {
    requestId: "",
    sessionType: "keygen",
    thresholdN: 3,
    thresholdT: 2,
    selectedParties: ["p0", "p1", "p2"],
    roleCounts: [],
    messageHash: none,
    expiresInMs: 0,
    keygenSessionId: "",
    userPublicKey: none,
    ...changes,
  };
}

function sign(changes: Partial<CreateRequest> = {}): CreateRequest {
  const own = { sessionType: "sign", messageHash: new Uint8Array(32), selectedParties: ["a", "b"] };
  return keygen({ ...own, ...changes });
}

const lentShare = { delegatePartyId: "b", encryptedShare: new Uint8Array(9), partyIndex: 1 };

describe("a request to create a session", () => {
  it("passes when it asks for a session that can be", () => {
    assert.equal(checkedRequest(keygen()).shape.type, "keygen");
    assert.equal(checkedRequest(sign()).shape.type, "sign");
    assert.equal(checkedRequest(sign({ lentShare, thresholdT: 1 })).shape.lentShare, lentShare);
    const counts = [
      { role: "persistent", count: 2 },
      { role: "delegate", count: 1 },
    ];
    const byRole = checkedRequest(keygen({ selectedParties: [], roleCounts: counts }));
    assert.deepEqual(byRole.roleCounts, counts);
    const withKey = checkedRequest(keygen({ userPublicKey: new Uint8Array(32) }));
    assert.equal(withKey.userPublicKey?.length, 32);
    const longest = checkedRequest(keygen({ expiresInMs: 604_800_000, requestId: "r-1" }));
    assert.equal(longest.expiresInMs, 604_800_000);
  });

  const invalid: Record<string, CreateRequest> = {
    "an unknown type": keygen({ sessionType: "Keygen" }),
    "no type": keygen({ sessionType: "" }),
    "one party": keygen({ thresholdN: 1, thresholdT: 1, selectedParties: ["p0"] }),
    "too many parties": keygen({ thresholdN: 101 }),
    "a threshold of none": keygen({ thresholdT: 0 }),
    "a threshold above n": keygen({ thresholdT: 4 }),
    "a negative threshold": keygen({ thresholdT: -1 }),
    "too few parties for a key": keygen({ selectedParties: ["p0", "p1"] }),
    "too few parties to sign": sign({ selectedParties: ["a"] }),
    "too many parties to sign": sign({ selectedParties: ["a", "b", "c", "d"] }),
    "a party twice": keygen({ selectedParties: ["p0", "p1", "p1"] }),
    "neither names nor counts": keygen({ selectedParties: [] }),
    "names and counts": keygen({ roleCounts: [{ role: "persistent", count: 3 }] }),
    "an unknown role": keygen({ selectedParties: [], roleCounts: [{ role: "boss", count: 3 }] }),
    "a count of none": keygen({
      selectedParties: [],
      roleCounts: [
        { role: "persistent", count: 3 },
        { role: "delegate", count: 0 },
      ],
    }),
    "a role twice": keygen({
      selectedParties: [],
      roleCounts: [
        { role: "persistent", count: 2 },
        { role: "persistent", count: 1 },
      ],
    }),
    "counts that are not n": keygen({
      selectedParties: [],
      roleCounts: [{ role: "persistent", count: 2 }],
    }),
    "counts to sign without the keygen session": sign({
      selectedParties: [],
      roleCounts: [{ role: "persistent", count: 2 }],
    }),
    "a hash for a key": keygen({ messageHash: new Uint8Array(32) }),
    "no hash to sign": sign({ messageHash: none }),
    "a short hash": sign({ messageHash: new Uint8Array(31) }),
    "a long hash": sign({ messageHash: new Uint8Array(65) }),
    "too short a life": keygen({ expiresInMs: 999 }),
    "too long a life": keygen({ expiresInMs: 604_800_001 }),
    "a negative life": keygen({ expiresInMs: -1 }),
    "a keygen session for a key": keygen({ keygenSessionId: "ses_1" }),
    "a lent share for a key": keygen({ lentShare }),
    "an empty lent share": sign({ lentShare: { ...lentShare, encryptedShare: none } }),
    "a long lent share": sign({
      lentShare: { ...lentShare, encryptedShare: new Uint8Array(65_537) },
    }),
    "a lent share of no index": sign({ lentShare: { ...lentShare, partyIndex: 3 } }),
    "a user's key to sign": sign({ userPublicKey: new Uint8Array(32) }),
    "a long user's key": keygen({ userPublicKey: new Uint8Array(1_025) }),
  };
  for (const [what, request] of Object.entries(invalid)) {
    it(`is refused for ${what}`, () => {
      assert.throws(() => checkedRequest(request), refusal("INVALID_FIELD"));
    });
  }

  const badId = fc.string({ unit: "grapheme" }).filter((id) => id !== "" && !isId(id));
  it("is refused for a bad id anywhere", () => {
    fc.assert(
      fc.property(badId, (id) => {
        const all = [
          keygen({ requestId: id }),
          keygen({ selectedParties: ["p0", "p1", id] }),
          sign({ keygenSessionId: id }),
          sign({ lentShare: { ...lentShare, delegatePartyId: id } }),
        ];
        for (const request of all) {
          assert.throws(() => checkedRequest(request), refusal("INVALID_ID"));
        }
      }),
    );
    assert.throws(
      () => checkedRequest(keygen({ selectedParties: ["p0", "p1", ""] })),
      refusal("INVALID_ID"),
    );
  });

  it("has a hash that tells every difference", () => {
    const requests = [
      keygen(),
      keygen({ thresholdT: 3 }),
      keygen({ thresholdN: 4 }),
      keygen({ selectedParties: ["p0", "p2", "p1"] }),
      keygen({ expiresInMs: 1_000 }),
      keygen({ userPublicKey: new Uint8Array(32) }),
      sign(),
      sign({ messageHash: new Uint8Array(33) }),
      sign({ keygenSessionId: "ses_1" }),
      sign({ lentShare }),
      sign({ lentShare: { ...lentShare, encryptedShare: new Uint8Array(8) } }),
      sign({ selectedParties: [], roleCounts: [{ role: "delegate", count: 2 }] }),
    ];
    assert.equal(new Set(requests.map(requestHashOf)).size, requests.length);
    assert.equal(requestHashOf(keygen()), requestHashOf(keygen()));
  });

  it("gives one session id per request id", () => {
    assert.equal(sessionIdFor("r-1"), sessionIdFor("r-1"));
    assert.notEqual(sessionIdFor("r-1"), sessionIdFor("r-2"));
    assert.match(sessionIdFor("r-1"), /^ses_[0-9a-f]{32}$/);
  });
});

it("a user's key needs exactly one delegate", () => {
  requireOneDelegate([seat("persistent", 0), seat("delegate", 1)]);
  const noneOfThem = [seat("persistent", 0)];
  assert.throws(() => requireOneDelegate(noneOfThem), refusal("INVALID_FIELD"));
  const two = [seat("delegate", 0), seat("delegate", 1)];
  assert.throws(() => requireOneDelegate(two), refusal("INVALID_FIELD"));
});

function seat(role: PlannedSeat["role"], partyIndex: number): PlannedSeat {
  return { partyId: `p${partyIndex}`, partyIndex, role };
}
