import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { commandsFor, leftOf, missingOf } from "../../../web-demo/src/control/missing.ts";
import { readTokens, tokenOf, type Token } from "../../../web-demo/src/control/tokens.ts";

const exp = 1_900_000_000;

describe("a token that is read", () => {
  it("names whose it is, and when it ends", () => {
    const text = tokenWith({ sub: "alice", role: "party", exp });
    const holder = { kind: "party", partyId: "alice" };
    assert.deepEqual(tokenOf(text), { text, holder, expiresAtMs: exp * 1_000 });
    assert.equal(coordinator().holder.kind, "coordinator");
  });

  it("is none when it names no party and no coordinator, or never ends", () => {
    for (const claims of [
      { role: "party", exp },
      { sub: "a", exp },
      { sub: "a", role: "party" },
    ]) {
      assert.equal(tokenOf(tokenWith(claims)), undefined);
    }
  });

  it("is never made of anything else, whatever that is", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.jsonValue().map(tokenWith)), (text) => {
        assert.equal(tokenOf(text), undefined);
      }),
    );
  });

  it("stands on a line of its own, by what it is or as a header has it; the last of a holder counts", () => {
    const [first, second] = [tokenWith({ sub: "a", role: "party", exp }), party("a", 1).text];
    const { tokens, otherLines } = readTokens(`\n ${first}\r\nBearer ${second}\n\nhunter2\n`);
    assert.deepEqual([tokens.map(({ text }) => text), otherLines], [[second], [5]]);
  });
});

describe("tokens that are missing", () => {
  const wanted = { coordinator: true, parties: [], leastParties: 2 };

  it("are those of the coordinator and of as many parties as it takes", () => {
    const missing = { coordinator: true, parties: [], moreParties: 1 };
    assert.deepEqual(missingOf(wanted, [party("zoe")]), missing);
    assert.equal(missingOf(wanted, [coordinator(), party("zoe"), party("yan")]), undefined);
  });

  it("are those of parties that cannot be replaced", () => {
    const carol = { coordinator: false, parties: ["carol"], leastParties: 0 };
    assert.deepEqual(missingOf(carol, [party("bob")])?.parties, ["carol"]);
    assert.equal(missingOf(carol, [party("carol")]), undefined);
  });

  it("are issued by commands, for new parties where it does not matter who they are", () => {
    const there = [party("zoe")];
    const missing = missingOf(wanted, there);
    assert.ok(missing !== undefined);
    const lines = commandsFor(missing, leftOf(["alice", "bob", "carol"], there)).split("\n");
    assert.deepEqual(
      lines.map((line) => line.replace(/^.*--key=dev\.jwk /, "")),
      ["--coordinator", "--party=alice", "--party=bob"],
    );
  });
});

function tokenWith(claims: unknown): string {
  const payload = Buffer.from(JSON.stringify(claims)).toString("base64url");
  return `e30.${payload}.c2ln`;
}

function coordinator(): Token {
  return read(tokenWith({ sub: "backend", role: "coordinator", exp }));
}

function party(sub: string, later = 0): Token {
  return read(tokenWith({ sub, role: "party", exp: exp + later }));
}

function read(text: string): Token {
  const token = tokenOf(text);
  assert.ok(token !== undefined);
  return token;
}
