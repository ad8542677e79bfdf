import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { OutsideCreation } from "../../../../src/domain/events/session-directory.ts";
import { checkedCreation } from "../../../../src/domain/sessions/outside-session.ts";
import { refusal, startMs } from "./session-records.ts";

const none = new Uint8Array();
const tokens = new Map([
  ["a", "token-a"],
  ["b", "token-b"],
]);
const lent = { delegatePartyId: "b", encryptedShare: new Uint8Array(9), partyIndex: 1 };

function creation(changes: Partial<OutsideCreation> = {}): OutsideCreation {
  return {
    eventId: "evt-1",
    contentHash: "c".repeat(32),
    createdBy: "backend",
    sessionId: "outside-1",
    thresholdN: 2,
    thresholdT: 2,
    selectedParties: ["a", "b"],
    joinTokens: tokens,
    messageHash: none,
    createdAt: startMs,
    expiresAt: 0,
    keygenSessionId: "",
    ...changes,
  };
}

const signing = { messageHash: new Uint8Array(32) };

describe("an outside session_created", () => {
  it("is of the type that its message hash says", () => {
    assert.equal(checkedCreation(creation(), startMs).shape.type, "keygen");
    assert.equal(checkedCreation(creation(signing), startMs).shape.type, "sign");
  });

  it("brings the tokens of the selected parties only", () => {
    const more = new Map([...tokens, ["c", "token-c"]]);
    const checked = checkedCreation(creation({ joinTokens: more }), startMs);
    assert.deepEqual([...checked.joinTokens.keys()], ["a", "b"]);
  });

  it("may name its end, or leave it to the default", () => {
    assert.equal(checkedCreation(creation(), startMs).expiresAt, undefined);
    const expiresAt = startMs + 1_000;
    // It took a moment to come here.
    assert.equal(checkedCreation(creation({ expiresAt }), startMs + 40).expiresAt, expiresAt);
  });

  const invalid: Record<string, OutsideCreation> = {
    "t above n": creation({ thresholdT: 3 }),
    "a number of parties that is not n": creation({ thresholdN: 3 }),
    "too few signers": creation({ ...signing, selectedParties: ["a"] }),
    "a party twice": creation({ selectedParties: ["a", "a"] }),
    "a missing token": creation({ joinTokens: new Map([["a", "token-a"]]) }),
    "an empty token": creation({ joinTokens: new Map([...tokens, ["b", ""]]) }),
    "a long token": creation({ joinTokens: new Map([...tokens, ["b", "x".repeat(4_097)]]) }),
    "a short hash": creation({ messageHash: new Uint8Array(31) }),
    "a lent share for a key": creation({ delegateUserShare: lent }),
    "a keygen session for a key": creation({ keygenSessionId: "ses_1" }),
    "an end in the past": creation({ expiresAt: startMs - 1 }),
    "too short a life": creation({ expiresAt: startMs + 999 }),
    "too long a life": creation({ expiresAt: startMs + 604_800_001 }),
    "a negative end": creation({ expiresAt: -5 }),
  };
  for (const [what, one] of Object.entries(invalid)) {
    it(`is refused for ${what}`, () => {
      assert.throws(() => checkedCreation(one, startMs), refusal("INVALID_FIELD"));
    });
  }

  it("is refused when it comes after its own end", () => {
    const late = creation({ expiresAt: startMs + 5_000 });
    assert.throws(() => checkedCreation(late, startMs + 5_000), refusal("INVALID_FIELD"));
  });

  it("is refused for a bad id anywhere", () => {
    const all = [
      creation({ sessionId: "a.b" }),
      creation({ sessionId: "" }),
      creation({ eventId: "*" }),
      creation({ selectedParties: ["a", "b c"] }),
      creation({ ...signing, keygenSessionId: ">" }),
      creation({ ...signing, delegateUserShare: { ...lent, delegatePartyId: "b.*" } }),
    ];
    for (const one of all) {
      assert.throws(() => checkedCreation(one, startMs), refusal("INVALID_ID"));
    }
  });
});
