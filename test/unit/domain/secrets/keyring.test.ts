import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createKeyring } from "../../../../src/domain/secrets/keyring.ts";

describe("a keyring", () => {
  it("opens what it sealed, in the same place only", () => {
    const ring = createKeyring([randomBytes(32)]);
    fc.assert(
      fc.property(fc.uint8Array(), fc.string(), (plain, context) => {
        const sealed = ring.seal(context, plain);
        assert.deepEqual(Buffer.from(ring.open(context, sealed)), Buffer.from(plain));
        assert.throws(() => ring.open(`${context}x`, sealed));
      }),
    );
  });

  it("notices every change of a sealed value", () => {
    const ring = createKeyring([randomBytes(32)]);
    const sealed = ring.seal("place", Buffer.from("a secret"));
    for (let position = 0; position < sealed.length; position += 1) {
      const changed = Buffer.from(sealed);
      changed.writeUInt8((changed[position] ?? 0) ^ 1, position);
      assert.throws(() => ring.open("place", changed));
    }
  });

  it("opens with any of its keys and seals with the first", () => {
    const [older, newer] = [randomBytes(32), randomBytes(32)];
    const sealed = createKeyring([older]).seal("place", Buffer.from("a secret"));
    const ring = createKeyring([newer, older]);
    assert.equal(Buffer.from(ring.open("place", sealed)).toString(), "a secret");
    assert.equal(ring.keyIdOf(sealed), ring.keyIds[1]);
    assert.equal(ring.keyIdOf(ring.seal("place", Buffer.from("x"))), ring.currentKeyId);
    assert.throws(() => createKeyring([newer]).open("place", sealed));
  });

  it("names its keys without telling them, and separates what they are used for", () => {
    const key = randomBytes(32);
    const ring = createKeyring([key]);
    assert.match(ring.currentKeyId, /^[0-9a-f]{16}$/);
    assert.equal(createKeyring([key]).currentKeyId, ring.currentKeyId);
    const mac = ring.mac(ring.currentKeyId, "join-token", "ab", "c");
    assert.notDeepEqual(ring.mac(ring.currentKeyId, "message-id", "ab", "c"), mac);
    assert.notDeepEqual(ring.mac(ring.currentKeyId, "join-token", "a", "bc"), mac);
    assert.throws(() => ring.mac("0000000000000000", "join-token", "ab"));
  });
});
