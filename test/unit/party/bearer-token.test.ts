import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { BearerToken } from "../../../src/party/bearer-token.ts";

/** A source that counts, on a clock of the test. */
function setup(t: TestContext, tokenOf: (asked: number) => string | Promise<string>) {
  t.mock.timers.enable({ apis: ["Date"], now: 1_000_000_000_000 });
  let asked = 0;
  const token = new BearerToken(() => tokenOf(++asked));
  const pass = (seconds: number): void => t.mock.timers.tick(seconds * 1_000);
  return { token, pass, asked: () => asked };
}

function webToken(lifeSeconds: number, name = "token"): string {
  const claims = JSON.stringify({ name, exp: Date.now() / 1_000 + lifeSeconds });
  return `e30.${Buffer.from(claims).toString("base64url")}.signature`;
}

describe("a bearer token", () => {
  it("is asked for once by all that need it at the same time", async (t) => {
    const { token, asked } = setup(t, async () => "token");
    assert.deepEqual(await Promise.all([token.current(), token.current()]), ["token", "token"]);
    assert.equal(asked(), 1);
  });

  it("that says when it expires is asked for again after four fifths of its life", async (t) => {
    const { token, pass, asked } = setup(t, () => webToken(100));
    await token.current();
    pass(79);
    await token.current();
    assert.equal(asked(), 1);
    pass(2);
    await token.current();
    assert.equal(asked(), 2);
  });

  it("that says nothing is asked for again after a while", async (t) => {
    for (const opaque of ["opaque", "a.b", "a.!!.c", "a.e30.c", "a.bnVsbA.c"]) {
      await t.test(opaque, async (inner) => {
        const { token, pass, asked } = setup(inner, () => opaque);
        await token.current();
        pass(180);
        await token.current();
        assert.equal(asked(), 1);
        pass(60);
        await token.current();
        assert.equal(asked(), 2);
      });
    }
  });

  it("that expired before it came is asked for at each need", async (t) => {
    const { token, asked } = setup(t, () => webToken(-10));
    await token.current();
    await token.current();
    assert.equal(asked(), 2);
  });

  it("that was refused is not shown again, but another one is", async (t) => {
    const { token, asked } = setup(t, (count) => `token ${count}`);
    const first = await token.current();
    token.refused(first);
    assert.equal(await token.current(), "token 2");
    token.refused(first);
    assert.equal(await token.current(), "token 2");
    assert.equal(asked(), 2);
  });

  it("is shown until it expires when its source fails, and then its failure is", async (t) => {
    const { token, pass } = setup(t, (count) => {
      if (count > 1) throw new Error("away");
      return webToken(100);
    });
    const first = await token.current();
    pass(90);
    assert.equal(await token.current(), first);
    pass(11);
    await assert.rejects(token.current(), /away/);
  });

  it("is none where there is no source", async () => {
    assert.equal(await new BearerToken(undefined).current(), undefined);
  });
});
