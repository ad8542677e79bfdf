import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { createKeyring } from "../../../../src/domain/secrets/keyring.ts";
import { renewSeals } from "../../../../src/domain/secrets/resealing.ts";
import { createVault } from "../../../../src/domain/secrets/vault.ts";
import type { SessionRecord } from "../../../../src/domain/sessions/session.ts";
import { aRecord } from "../sessions/session-records.ts";
import { memorySecrets } from "./memory-secrets.ts";

function sessionsOf(...keyIds: readonly string[]): {
  all: () => { record: SessionRecord; revision: number }[];
} {
  return { all: () => keyIds.map((keyId) => ({ record: { ...aRecord(), keyId }, revision: 1 })) };
}

describe("renewing the seals", () => {
  it("seals every kind of secret anew under the first key", async () => {
    const [older, newer] = [randomBytes(32), randomBytes(32)];
    const secrets = memorySecrets();
    const before = createVault(secrets, createKeyring([older]));
    await before.put("contact", "p0", Buffer.from("contact"));
    await before.put("share", "s-1", Buffer.from("share"));
    await before.put("tokens", "s-2", Buffer.from("tokens"));
    await before.put("lent", "s-3", Buffer.from("lent"));

    const keyring = createKeyring([newer, older]);
    const seals = await renewSeals({ secrets, keyring, sessions: sessionsOf() });
    assert.equal(seals.resealed, 4);
    assert.deepEqual(seals.unusedKeyIds, [keyring.keyIds[1]]);
    const after = createVault(secrets, createKeyring([newer]));
    assert.equal(Buffer.from((await after.get("share", "s-1")) ?? "").toString(), "share");
    assert.equal(Buffer.from((await after.get("contact", "p0")) ?? "").toString(), "contact");

    const again = await renewSeals({ secrets, keyring, sessions: sessionsOf() });
    assert.equal(again.resealed, 0);
  });

  it("names keys that are needed by a session, or known to nobody", async () => {
    const [older, newer, lost] = [randomBytes(32), randomBytes(32), randomBytes(32)];
    const secrets = memorySecrets();
    const lostRing = createKeyring([lost]);
    await createVault(secrets, lostRing).put("contact", "p0", Buffer.from("contact"));
    const keyring = createKeyring([newer, older]);
    const sessions = sessionsOf(keyring.keyIds[1] ?? "");
    const seals = await renewSeals({ secrets, keyring, sessions });
    assert.deepEqual(seals, {
      resealed: 0,
      unknownKeyIds: [lostRing.currentKeyId],
      unusedKeyIds: [],
    });
  });

  it("names the key of a session that is not in the ring", async () => {
    const [current, lost] = [createKeyring([randomBytes(32)]), createKeyring([randomBytes(32)])];
    const sessions = sessionsOf(current.currentKeyId, lost.currentKeyId);
    const seals = await renewSeals({ secrets: memorySecrets(), keyring: current, sessions });
    assert.deepEqual(seals.unknownKeyIds, [lost.currentKeyId]);
  });

  it("leaves a value that was written meanwhile", async () => {
    const [older, newer] = [randomBytes(32), randomBytes(32)];
    const inner = memorySecrets();
    const before = createVault(inner, createKeyring([older]));
    await before.put("contact", "p0", Buffer.from("old"));
    const keyring = createKeyring([newer, older]);
    const secrets = {
      ...inner,
      async get(...place: Parameters<typeof inner.get>) {
        const found = await inner.get(...place);
        await before.put("contact", "p0", Buffer.from("new"));
        return found;
      },
    };
    const seals = await renewSeals({ secrets, keyring, sessions: sessionsOf() });
    assert.equal(seals.resealed, 0);
    const now = await createVault(inner, keyring).get("contact", "p0");
    assert.equal(Buffer.from(now ?? "").toString(), "new");
  });
});
