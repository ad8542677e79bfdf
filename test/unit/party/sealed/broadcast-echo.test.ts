import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BroadcastEcho } from "../../../../src/party/sealed/broadcast-echo.ts";
import { isSealError } from "../../../../src/party/sealed/seal-error.ts";

const ids = ["alice", "bob", "carol"];
const parties = ids.map((partyId, partyIndex) => ({ partyId, partyIndex }));

/** The three views of round 1; each party broadcasts once, `shown` says what to whom. */
async function setup(
  shown: (from: string, to: string) => readonly string[] = (from) => [`of ${from}`],
): Promise<readonly BroadcastEcho[]> {
  return Promise.all(
    ids.map(async (to) => {
      const echo = new BroadcastEcho(parties, to);
      for (const from of ids) {
        for (const text of shown(from, to)) await saw(echo, from, text);
      }
      return echo;
    }),
  );
}

async function saw(echo: BroadcastEcho, from: string, text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  await echo.saw({ round: 1, from, headerBytes: bytes }, bytes);
}

/** Every party tells every other what it saw. */
async function exchange(echoes: readonly BroadcastEcho[]): Promise<void> {
  const words = await Promise.all(echoes.map((echo) => echo.confirm(1)));
  words.forEach((word, sender) => {
    echoes.forEach((echo, recipient) => {
      if (recipient !== sender) echo.heard(1, ids[sender] ?? "", word);
    });
  });
}

describe("the echo of broadcasts", () => {
  it("agrees when all saw the same, in whatever order", async () => {
    const echoes = await setup((from, to) => {
      const two = [`one of ${from}`, `two of ${from}`];
      return to === "bob" ? two.toReversed() : two;
    });
    await exchange(echoes);
    for (const echo of echoes) assert.equal(await echo.isAgreed(1), true);
  });

  it("waits until all have spoken", async () => {
    const [alice, bob] = await setup();
    assert.ok(alice && bob);
    assert.equal(await alice.isAgreed(1), false);
    alice.heard(1, "bob", await bob.confirm(1));
    assert.equal(await alice.isAgreed(1), false);
  });

  it("says who saw another broadcast, and whose", async () => {
    const echoes = await setup((from, to) =>
      from === "carol" && to === "bob" ? ["for bob only"] : [`of ${from}`],
    );
    await exchange(echoes);
    const [alice, bob] = echoes;
    await assert.rejects(async () => alice?.isAgreed(1), differsWith([["bob", "carol"]]));
    const both = [
      ["alice", "carol"],
      ["carol", "carol"],
    ];
    await assert.rejects(async () => bob?.isAgreed(1), differsWith(both));
  });

  it("notices a broadcast that one party was not shown", async () => {
    const echoes = await setup((from, to) =>
      from === "alice" && to === "carol" ? [] : [`of ${from}`],
    );
    await exchange(echoes);
    await assert.rejects(async () => echoes[1]?.isAgreed(1), differsWith([["carol", "alice"]]));
  });

  it("takes no broadcast of a round that is confirmed, but of others", async () => {
    const [alice] = await setup();
    assert.ok(alice);
    await alice.confirm(1);
    await assert.rejects(saw(alice, "bob", "late"), (error) => isSealError(error, "LATE"));
    const early = { round: 2, from: "bob", headerBytes: new Uint8Array(1) };
    await alice.saw(early, new Uint8Array(1));
  });

  it("takes the first word of a party, and no other", async () => {
    const [alice, bob] = await setup();
    assert.ok(alice && bob);
    const word = await bob.confirm(1);
    alice.heard(1, "bob", word);
    alice.heard(1, "bob", word);
    const other = word.toReversed();
    assert.throws(
      () => alice.heard(1, "bob", other),
      (error) => isSealError(error, "LATE"),
    );
  });

  it("refuses a word of another length, and more rounds than any protocol has", async () => {
    const [alice] = await setup();
    assert.ok(alice);
    assert.throws(
      () => alice.heard(1, "bob", new Uint8Array(95)),
      (error) => isSealError(error, "MALFORMED"),
    );
    for (let round = 2; round <= 1_000; round++) alice.heard(round, "bob", new Uint8Array(96));
    assert.throws(
      () => alice.heard(1_001, "bob", new Uint8Array(96)),
      (error) => isSealError(error, "TOO_MANY"),
    );
  });
});

/** Pairs of who saw it and whose it is. */
function differsWith(pairs: readonly (readonly string[])[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isSealError(error, "EQUIVOCATION"));
    const found = error.differences.map(({ partyId, senders }) => [partyId, ...senders]);
    assert.deepEqual(found, pairs);
    return true;
  };
}
