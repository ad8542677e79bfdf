import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isRouterError } from "../../../src/domain/errors.ts";
import {
  isId,
  requireBytes,
  requireId,
  requireText,
  requireWhole,
} from "../../../src/domain/ids.ts";

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-".split("");

describe("id", () => {
  it("is 1 to 128 characters of its alphabet", () => {
    const ids = fc.string({
      unit: fc.constantFrom(...alphabet),
      minLength: 1,
      maxLength: 128,
    });
    fc.assert(fc.property(ids, (id) => requireId("party_id", id) === id));
  });

  it("has no character that means something to a broker", () => {
    for (const bad of ["", "a.b", "*", ">", "a b", "a\n", "a\u0000", "é", "a/b", "x".repeat(129)]) {
      assert.equal(isId(bad), false, JSON.stringify(bad));
    }
  });

  it("refuses any string with another character, naming the field and not the value", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 40, unit: "binary" }), (text) => {
        fc.pre(!Array.from(text).every((character) => alphabet.includes(character)));
        assert.throws(
          () => requireId("session_id", text),
          (error) =>
            isRouterError(error, "INVALID_ID") &&
            error.message ===
              "INVALID_ID: session_id must be 1 to 128 characters of A-Z a-z 0-9 _ -",
        );
      }),
    );
  });
});

describe("text", () => {
  it("is measured in bytes of UTF-8", () => {
    assert.equal(requireText("version", "é".repeat(128), 256).length, 128);
    assert.throws(() => requireText("version", "é".repeat(129), 256), /INVALID_FIELD: version/);
    assert.throws(() => requireText("version", "a".repeat(257), 256), /at most 256 bytes/);
  });
});

describe("bytes and numbers", () => {
  it("take both ends of their range", () => {
    const range = { minBytes: 1, maxBytes: 2 };
    assert.equal(requireBytes("h", new Uint8Array(1), range).length, 1);
    assert.equal(requireBytes("h", new Uint8Array(2), range).length, 2);
    assert.throws(() => requireBytes("h", new Uint8Array(0), range), /INVALID_FIELD: h/);
    assert.throws(() => requireBytes("h", new Uint8Array(3), range), /INVALID_FIELD: h/);
    assert.equal(requireWhole("n", 0, { min: 0, max: 5 }), 0);
    assert.throws(() => requireWhole("n", -1, { min: 0, max: 5 }), /INVALID_FIELD: n/);
    assert.throws(() => requireWhole("n", 1.5, { min: 0, max: 5 }), /INVALID_FIELD: n/);
  });
});
