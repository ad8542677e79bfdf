import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { membersOf, newPartyIds } from "../../../web-demo/src/control/party-names.ts";

describe("the names of the parties", () => {
  it("are words, by ids that are new each time", () => {
    const ids = newPartyIds();
    const names = membersOf(ids).map(({ name }) => name);
    assert.deepEqual(names, ["Alice", "Bob", "Carol", "Dave", "Erin"]);
    assert.equal(new Set([...ids, ...newPartyIds()]).size, 10);
  });

  it("are the ids themselves where words do not tell the parties apart", () => {
    const names = membersOf(["wallet-1", "wallet-2"]).map(({ name }) => name);
    assert.deepEqual(names, ["wallet-1", "wallet-2"]);
  });
});
