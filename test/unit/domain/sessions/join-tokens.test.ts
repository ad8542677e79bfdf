import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { createKeyring } from "../../../../src/domain/secrets/keyring.ts";
import { createVault, type Vault } from "../../../../src/domain/secrets/vault.ts";
import { createJoinTokens, encodeTokens } from "../../../../src/domain/sessions/join-tokens.ts";
import { requestSecretId } from "../../../../src/domain/sessions/session-secrets.ts";
import type { SessionRecord } from "../../../../src/domain/sessions/session.ts";
import { memorySecrets } from "../secrets/memory-secrets.ts";
import { aRecord, type RecordOptions } from "./session-records.ts";

const masterKey = randomBytes(32);

function setup(options: RecordOptions = {}): {
  readonly tokens: ReturnType<typeof createJoinTokens>;
  readonly record: SessionRecord;
  readonly vault: Vault;
} {
  const keyring = createKeyring([masterKey]);
  const vault = createVault(memorySecrets(), keyring);
  const record = { ...aRecord(options), keyId: keyring.currentKeyId };
  return { tokens: createJoinTokens(keyring, vault), record, vault };
}

describe("derived join tokens", () => {
  it("are the same on every instance that has the key, and differ by party and session", async () => {
    const { tokens, record } = setup();
    const token = await tokens.tokenOf(record, "p0");
    assert.match(token ?? "", /^mpcj_[A-Za-z0-9_-]{43}$/);
    assert.equal(await setup().tokens.tokenOf(record, "p0"), token);
    assert.notEqual(await tokens.tokenOf(record, "p1"), token);
    assert.notEqual(await tokens.tokenOf({ ...record, sessionId: "session-2" }, "p0"), token);
    assert.equal(tokens.derivedTokens(record).get("p0"), token);
    assert.equal(tokens.derivedTokens(record).size, 3);
  });

  it("admit their own party only", async () => {
    const { tokens, record } = setup();
    const own = (await tokens.tokenOf(record, "p0")) ?? "";
    assert.equal(await tokens.admits(record, "p0", own), true);
    assert.equal(await tokens.admits(record, "p1", own), false);
    assert.equal(await tokens.admits(record, "stranger", own), false);
    assert.equal(await tokens.admits(record, "stranger", ""), false);
    assert.equal(await tokens.admits(record, "p0", ""), false);
    assert.equal(await tokens.admits(record, "p0", `${own}x`), false);
  });

  it("bring the user's key to the delegate, and to nobody else", async () => {
    const userPublicKey = randomBytes(32);
    const { tokens, record } = setup({ roles: ["persistent", "delegate"], userPublicKey });
    const [secret = "", userKey = ""] = ((await tokens.tokenOf(record, "p1")) ?? "").split(".");
    assert.match(secret, /^mpcj_[A-Za-z0-9_-]{43}$/);
    assert.deepEqual(Buffer.from(userKey, "base64url"), userPublicKey);
    assert.equal((await tokens.tokenOf(record, "p0"))?.includes("."), false);
    // The secret is over the key too: another key cannot be put beside it.
    const other = Buffer.from(randomBytes(32)).toString("base64url");
    assert.equal(await tokens.admits(record, "p1", `${secret}.${other}`), false);
    assert.equal(await tokens.admits(record, "p1", `${secret}.${userKey}`), true);
  });

  it("admit nobody once the key is gone", async () => {
    const { tokens, record } = setup();
    const foreign = { ...record, keyId: "ffffffffffffffff" };
    assert.equal(await tokens.tokenOf(foreign, "p0"), undefined);
    assert.equal(await tokens.admits(foreign, "p0", ""), false);
    assert.equal(tokens.derivedTokens(foreign).size, 0);
  });
});

describe("an outside coordinator's tokens", () => {
  it("are kept sealed and admit their own party only", async () => {
    const { tokens, record, vault } = setup();
    const outside: SessionRecord = { ...record, tokens: "sealed" };
    const given = new Map([
      ["p0", "token of p0"],
      ["p1", "token of p1"],
      ["p2", "token of p2"],
    ]);
    await vault.put("tokens", requestSecretId(outside), encodeTokens(given));
    assert.equal(await tokens.tokenOf(outside, "p1"), "token of p1");
    assert.equal(await tokens.admits(outside, "p1", "token of p1"), true);
    assert.equal(await tokens.admits(outside, "p0", "token of p1"), false);
    assert.equal(tokens.derivedTokens(outside).size, 0);
    await vault.erase("tokens", requestSecretId(outside));
    assert.equal(await tokens.admits(outside, "p1", "token of p1"), false);
  });
});
