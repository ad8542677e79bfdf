import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { exportJWK } from "jose";
import { parseKeySet, parseSecret } from "../../../src/auth/key-forms.ts";
import { KeyProblem } from "../../../src/auth/key-sources.ts";
import { signingKey } from "./keys.ts";

function secretOf(content: Buffer): Buffer {
  return parseSecret(content).export();
}

describe("the file of the secret", () => {
  it("is the secret, but for one newline at its end", () => {
    const secret = randomBytes(32).map((byte) => byte | 0x80);
    const of = (end: string): Buffer => secretOf(Buffer.concat([secret, Buffer.from(end)]));
    assert.deepEqual(of(""), Buffer.from(secret));
    assert.deepEqual(of("\n"), Buffer.from(secret));
    assert.deepEqual(of("\r\n"), Buffer.from(secret));
    assert.deepEqual(of("\n\n"), Buffer.concat([secret, Buffer.from("\n")]));
    assert.deepEqual(of(" "), Buffer.concat([secret, Buffer.from(" ")]));
  });

  it("is refused below 32 bytes, not counting the newline", () => {
    for (const content of ["", "\n", "x".repeat(31), `${"x".repeat(31)}\n`]) {
      assert.throws(() => secretOf(Buffer.from(content)), KeyProblem);
    }
    assert.equal(secretOf(Buffer.from("x".repeat(32))).length, 32);
  });
});

describe("a key set", () => {
  it("is refused when it is none, without a word of what it is", () => {
    for (const content of [
      "",
      "hunter2",
      "{}",
      "[]",
      '{"keys":"hunter2"}',
      '{"keys":["hunter2"]}',
    ]) {
      assert.throws(
        () => parseKeySet(Buffer.from(content)),
        (error) => error instanceof KeyProblem && !String(error).includes("hunter2"),
      );
    }
  });

  it("is refused when it holds what must be kept secret", async () => {
    const { privateKey, publicJwk } = await signingKey("EdDSA");
    const privateJwk = await exportJWK(privateKey);
    const secretJwk = { kty: "oct", k: randomBytes(32).toString("base64url") };
    for (const extra of [privateJwk, secretJwk]) {
      const set = JSON.stringify({ keys: [publicJwk, extra] });
      assert.throws(() => parseKeySet(Buffer.from(set)), KeyProblem);
    }
    parseKeySet(Buffer.from(JSON.stringify({ keys: [publicJwk] })));
    parseKeySet(Buffer.from('{"keys":[]}'));
  });
});
