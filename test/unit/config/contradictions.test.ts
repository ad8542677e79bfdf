import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isLoopback } from "../../../src/config/loopback.ts";
import { checkSettings } from "../../../src/config/settings.ts";

function problemsOf(...args: readonly string[]): readonly string[] {
  const checked = checkSettings(args, {});
  assert.equal(checked.kind, "serve");
  return checked.problems;
}

const everywhere = "--listen=0.0.0.0:80";
const secret = "--auth-jwt-secret-file=s";
const seal = "--seal-key-file=keys";
const tls = ["--tls-cert=cert", "--tls-key=key"];
const noAuthentication =
  "--listen is off loopback without authentication: configure it (--auth-jwks, --auth-jwt-secret-file, --tls-client-ca), or bind loopback (127.0.0.1)";
const plainText =
  "--listen is off loopback in plain text: give --tls-cert and --tls-key, put a proxy that speaks TLS in front (--behind-proxy), or bind loopback (127.0.0.1)";

describe("settings together", () => {
  it("refuse a mailbox that is smaller than a message", () => {
    assert.deepEqual(problemsOf("--mailbox-max-bytes=64KiB"), [
      "--mailbox-max-bytes is below --max-payload",
    ]);
    assert.deepEqual(problemsOf("--mailbox-max-bytes=64KiB", "--max-payload=64KiB"), []);
  });

  it("refuse an address off loopback without authentication, and in plain text", () => {
    for (const host of ["0.0.0.0", "[::]", "10.0.0.1", "router.example", "[::ffff:7f00:1]"]) {
      assert.deepEqual(problemsOf(`--listen=${host}:80`), [noAuthentication, plainText], host);
    }
    for (const host of ["127.0.0.1", "127.8.8.8", "[::1]", "[0:0::1]", "localhost", "LOCALHOST"]) {
      assert.deepEqual(problemsOf(`--listen=${host}:80`), [], host);
    }
  });

  it("let an address off loopback be by either remedy for each of the two", () => {
    const insecure = "--insecure-allow-unauthenticated";
    assert.deepEqual(problemsOf(everywhere, insecure), [plainText]);
    assert.deepEqual(problemsOf(everywhere, ...tls), [noAuthentication]);
    assert.deepEqual(problemsOf(everywhere, insecure, "--behind-proxy"), []);
    assert.deepEqual(problemsOf(everywhere, secret, seal), [plainText]);
    assert.deepEqual(problemsOf(everywhere, secret, seal, "--behind-proxy"), []);
    assert.deepEqual(problemsOf(everywhere, secret, seal, ...tls), []);
    assert.deepEqual(problemsOf(everywhere, "--tls-client-ca=ca", seal, ...tls), []);
  });

  it("want an issuer and an audience with a key set, and a seal key file with authentication", () => {
    const needsSeal =
      "--seal-key-file is needed with authentication: without it the key of stored secrets lies beside them";
    assert.deepEqual(problemsOf("--auth-jwks=keys.json"), [
      "--auth-jwks needs --auth-issuer",
      "--auth-jwks needs --auth-audience",
      needsSeal,
    ]);
    assert.deepEqual(problemsOf(secret), [needsSeal]);
    assert.deepEqual(problemsOf("--tls-client-ca=ca", ...tls), [needsSeal]);
    assert.deepEqual(problemsOf(secret, seal), []);
  });

  it("refuse what says nothing without another setting, or contradicts it", () => {
    assert.deepEqual(problemsOf("--auth-issuer=i", "--auth-audience=a"), [
      "--auth-issuer needs --auth-jwks or --auth-jwt-secret-file",
      "--auth-audience needs --auth-jwks or --auth-jwt-secret-file",
    ]);
    assert.deepEqual(problemsOf(secret, seal, "--insecure-allow-unauthenticated"), [
      "--insecure-allow-unauthenticated contradicts authentication",
    ]);
    for (const half of tls) {
      assert.deepEqual(problemsOf(half), ["--tls-cert and --tls-key need each other"]);
    }
    assert.deepEqual(problemsOf("--tls-client-ca=ca", seal), [
      "--tls-client-ca needs --tls-cert and --tls-key",
    ]);
  });

  it("say nothing of what a value decides that is wrong itself", () => {
    assert.equal(problemsOf("--listen=nowhere").length, 1);
    assert.equal(problemsOf(everywhere, "--behind-proxy=yes").length, 2);
    assert.equal(problemsOf("--auth-jwks=ftp://a", "--auth-issuer=i").length, 1);
  });
});

describe("loopback", () => {
  it("is told from every other host, in all spellings", () => {
    for (const host of [
      "127.0.0.1",
      "127.255.0.1",
      "::1",
      "[::1]",
      "0:0:0:0:0:0:0:1",
      "localhost",
    ]) {
      assert.equal(isLoopback(host), true, host);
    }
    for (const host of ["127.0.0.1.example", "::", "::ffff:127.0.0.1", "localhost.example", ""]) {
      assert.equal(isLoopback(host), false, host);
    }
  });
});
