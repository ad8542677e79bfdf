import fc from "fast-check";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { natsUrl, originList, type NatsTarget } from "../../../src/config/url-kinds.ts";

function target(text: string): NatsTarget {
  const parsed = natsUrl().parse(text);
  assert.ok(parsed.ok, text);
  return parsed.value;
}

function problemOf(text: string): string {
  const parsed = natsUrl().parse(text);
  return parsed.ok ? "" : parsed.problem;
}

describe("the URL of NATS", () => {
  it("is taken apart into servers and credentials", () => {
    assert.deepEqual(target("nats://me:p%40ss@a:4333"), {
      url: "nats://a:4333",
      user: "me",
      pass: "p@ss",
      requiresTls: false,
    });
  });

  it("has port 4222 where it names none", () => {
    assert.equal(target("nats://a, nats://[::1]").url, "nats://a:4222,nats://[::1]:4222");
  });

  it("asks for encryption by its scheme", () => {
    assert.equal(target("tls://a").requiresTls, true);
  });

  it("is refused when its parts contradict each other", () => {
    assert.equal(problemOf("nats://a,tls://b"), "mixes nats:// and tls://");
    assert.match(problemOf("nats://u:p@a,nats://u:q@b"), /^names different users/);
    assert.match(problemOf("nats://u:p@a,nats://b"), /^names different users/);
    assert.match(problemOf("nats://:p@a"), /^has a user or a password without/);
    assert.match(problemOf("nats://u:%zz@a"), /^is not nats:/);
  });

  it("keeps any user and password", () => {
    const credential = fc.string({ minLength: 1, unit: "grapheme" });
    fc.assert(
      fc.property(credential, credential, (user, pass) => {
        const both = `${encodeURIComponent(user)}:${encodeURIComponent(pass)}`;
        const read = target(`nats://${both}@a:1`);
        assert.deepEqual([read.user, read.pass], [user, pass]);
      }),
    );
  });

  it("never throws and never tells what it was", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 4 }), (text) => {
        const parsed = natsUrl().parse(`nats://s3cret${text}`);
        if (!parsed.ok) assert.doesNotMatch(parsed.problem, /s3cret/);
      }),
    );
  });
});

describe("allowed origins", () => {
  it("are what a browser would send, or are refused", () => {
    fc.assert(
      fc.property(fc.webUrl({ withQueryParameters: true }), (url) => {
        const { origin } = new URL(url);
        assert.deepEqual(originList().parse(origin), { ok: true, value: [origin] });
        assert.equal(originList().parse(`${origin}/`).ok, false);
      }),
    );
  });
});
