import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pickSigners } from "../../../web-demo/src/control/signers.ts";
import { newParty } from "../../../web-demo/src/model/changes.ts";
import type { PartyState } from "../../../web-demo/src/model/state.ts";

const parties = ["alice", "bob", "carol"].map((id) => ({ ...newParty(id, id), hasShare: true }));

describe("who signs", () => {
  it("changes from one signature to the next, in the order of the parties", () => {
    const turns = [0, 1, 2, 3].map((turn) => pickSigners(parties, 2, turn));
    assert.deepEqual(turns, [
      ["alice", "bob"],
      ["bob", "carol"],
      ["alice", "carol"],
      ["alice", "bob"],
    ]);
  });

  it("is whoever runs elsewhere, since its user wants to be asked", () => {
    assert.deepEqual(pickSigners(withCarol({ place: "elsewhere" }), 2, 0), ["alice", "carol"]);
  });

  it("is not who is offline, or has no share, while there are others", () => {
    for (const change of [{ isOffline: true }, { hasShare: false }]) {
      assert.deepEqual(pickSigners(withCarol(change), 2, 1), ["alice", "bob"]);
    }
    assert.deepEqual(pickSigners(withCarol({ isOffline: true }), 3, 0).length, 3);
  });
});

function withCarol(change: Partial<PartyState>): readonly PartyState[] {
  return parties.map((party) => (party.id === "carol" ? { ...party, ...change } : party));
}
