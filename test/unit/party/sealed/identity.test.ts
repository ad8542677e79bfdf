import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  createIdentity,
  exportIdentity,
  exportPublicIdentity,
  importIdentity,
  importPublicIdentity,
  publicIdentity,
} from "../../../../src/party/sealed/identity.ts";

describe("an identity", () => {
  it("is the same after it was exported and imported", () => {
    const identity = createIdentity();
    assert.deepEqual(importIdentity(exportIdentity(identity)), identity);
    const shown = publicIdentity(identity);
    assert.deepEqual(importPublicIdentity(exportPublicIdentity(shown)), shown);
  });

  it("shows no secret in its public part", () => {
    const identity = createIdentity();
    const shown = Buffer.from(exportPublicIdentity(publicIdentity(identity)));
    assert.equal(shown.indexOf(identity.decryptionKey), -1);
    assert.equal(shown.indexOf(identity.signingSeed), -1);
  });

  it("is refused with more or fewer bytes", () => {
    for (const length of [0, 63, 65]) {
      assert.throws(() => importIdentity(new Uint8Array(length)), RangeError);
      assert.throws(() => importPublicIdentity(new Uint8Array(length)), RangeError);
    }
  });

  it("differs from every other", () => {
    assert.notDeepEqual(createIdentity(), createIdentity());
  });
});
