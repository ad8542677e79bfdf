import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { isPartyError, isSealError, SealError } from "../../../../src/party/index.ts";

const root = join(import.meta.dirname, "../../../..");

function reasonsIn(path: string, pattern: RegExp): readonly string[] {
  const found = readFileSync(join(root, path), "utf8").matchAll(pattern);
  return [...found].map(([, reason = ""]) => reason).toSorted();
}

describe("an error of the sealed channel", () => {
  it("is an error of the party too, and is final", () => {
    const error = new SealError("TAMPERED", "text", { partyId: "bob", messageId: "m" });
    const thrown: unknown = error;
    assert.ok(isSealError(thrown));
    assert.equal(isSealError(error, "REPLAYED", "TAMPERED"), true);
    assert.equal(isSealError(error, "REPLAYED"), false);
    assert.equal(isPartyError(error, "TAMPERED"), true);
    assert.equal(error.isFinal, true);
    assert.deepEqual(error.differences, []);
    assert.match(String(error), /^SealError: TAMPERED: text$/);
  });

  it("has one of the reasons that the documentation explains", () => {
    const declared = reasonsIn("src/party/sealed/seal-error.ts", /^ {2}\| "([A-Z_]+)"/gm);
    const [, part = ""] = readFileSync(join(root, "docs/party-sdk.md"), "utf8").split(
      "## The sealed channel",
    );
    const explained = [...part.matchAll(/^\| `([A-Z_]+)`/gm)].map(([, reason = ""]) => reason);
    assert.ok(declared.length > 5);
    assert.deepEqual(explained.toSorted(), declared);
  });
});
