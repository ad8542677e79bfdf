import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Party } from "../../../../src/domain/parties/party.ts";
import { selectParties, type Selection } from "../../../../src/domain/sessions/party-selection.ts";
import type { PartyRole } from "../../../../src/domain/sessions/session.ts";
import { refusal, startMs } from "./session-records.ts";

function aParty(partyId: string, role: PartyRole, offlineMode = false): Party {
  return { partyId, role, version: "1", offlineMode, registeredAt: 1, renewedAt: 1 };
}

function choose(registered: readonly Party[], changes: Partial<Selection> = {}): string[] {
  return selectParties({
    counts: [{ role: "persistent", count: 2 }],
    registered,
    lastSeenAt: new Map(registered.map((party) => [party.partyId, startMs])),
    acceptsOffline: false,
    onlineSince: startMs - 60_000,
    seed: "seed",
    ...changes,
  }).map((party) => party.partyId);
}

const four = ["a", "b", "c", "d"].map((partyId) => aParty(partyId, "persistent"));

describe("choosing parties by role", () => {
  it("gives as many of each role as asked for, each once", () => {
    const registered = [...four, aParty("x", "delegate"), aParty("y", "temporary")];
    const counts = [
      { role: "persistent", count: 3 },
      { role: "delegate", count: 1 },
    ] as const;
    const chosen = choose(registered, { counts });
    assert.equal(new Set(chosen).size, 4);
    assert.equal(chosen[3], "x");
  });

  it("is the same for the same seed, whatever the order of the registrations", () => {
    assert.deepEqual(choose(four), choose(four.toReversed()));
  });

  it("gives every party the same chance", () => {
    const times = new Map<string, number>();
    for (let run = 0; run < 2_000; run += 1) {
      for (const id of choose(four, { seed: `seed-${run}` })) {
        times.set(id, (times.get(id) ?? 0) + 1);
      }
    }
    for (const party of four) {
      const share = (times.get(party.partyId) ?? 0) / 2_000;
      assert.ok(Math.abs(share - 0.5) < 0.05, `${party.partyId} was chosen ${share}`);
    }
  });

  it("passes over who is offline", () => {
    const lastSeenAt = new Map([
      ["a", startMs],
      ["b", startMs - 60_000],
      ["c", startMs],
    ]);
    assert.deepEqual(choose(four, { lastSeenAt }).toSorted(), ["a", "c"]);
    const renewed = { ...aParty("e", "persistent"), renewedAt: startMs };
    const chosen = choose([renewed, aParty("a", "persistent")], { lastSeenAt });
    assert.deepEqual(chosen.toSorted(), ["a", "e"]);
  });

  it("takes parties in offline mode for sessions that are long enough", () => {
    const registered = [aParty("a", "persistent", true), aParty("b", "persistent", true)];
    const away = { lastSeenAt: new Map<string, number>() };
    assert.throws(() => choose(registered, away), refusal("NOT_ENOUGH_PARTIES"));
    assert.equal(choose(registered, { ...away, acceptsOffline: true }).length, 2);
  });

  it("keeps to the parties of the keygen session", () => {
    assert.deepEqual(choose(four, { among: new Set(["b", "d"]) }).toSorted(), ["b", "d"]);
    const among = new Set(["b", "z"]);
    assert.throws(() => choose(four, { among }), refusal("NOT_ENOUGH_PARTIES"));
  });
});
