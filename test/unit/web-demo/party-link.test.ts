import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { linkOf, partyOf } from "../../../web-demo/src/control/party-link.ts";

const base = "https://demo.example:8443/";
const identity = fc.uint8Array({ minLength: 64, maxLength: 64 });
const partyId = fc.stringMatching(/^[A-Za-z0-9_-]{1,40}$/);

describe("a party's link", () => {
  it("carries the party, its keys and those it trusts", () => {
    const parties = fc.record({
      partyId,
      identity,
      peers: fc.array(fc.tuple(partyId, identity), { maxLength: 4 }).map((all) => new Map(all)),
      token: fc.option(fc.stringMatching(/^[A-Za-z0-9._-]{1,40}$/), { nil: undefined }),
    });
    fc.assert(
      fc.property(parties, (party) => {
        assert.deepEqual(partyOf(linkOf(party, base)), { ...party });
      }),
    );
  });

  it("has everything secret behind the #", () => {
    const secret = new Uint8Array(64).fill(7);
    const party = { partyId: "carol", identity: secret, peers: new Map(), token: "t0k3n" };
    const url = new URL(linkOf(party, base));
    assert.equal(url.hash.length > 80, true);
    url.hash = "";
    assert.equal(url.href, `${base}?party=carol`);
  });

  it("is no link of a party without one's name, and none without its keys", () => {
    assert.equal(partyOf(base), undefined);
    for (const fragment of ["", "#", "#k=", "#k=AAAA", "#k=%%%", "#p=bob.AAAA"]) {
      assert.throws(() => partyOf(`${base}?party=carol${fragment}`), RangeError);
    }
  });
});
