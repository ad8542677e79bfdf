import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { createKeyring } from "../../../src/domain/secrets/keyring.ts";
import { renewSeals } from "../../../src/domain/secrets/resealing.ts";
import { createVault } from "../../../src/domain/secrets/vault.ts";
import type { ResealableSecrets } from "../../../src/domain/secrets/secret-ports.ts";
import { connectNats, type Nats } from "../../../src/nats/connection.ts";
import { openSealKeys } from "../../../src/nats/secrets/dev-seal-key.ts";
import { provision } from "../../../src/nats/provisioning.ts";
import { openSecretStore } from "../../../src/nats/secrets/secret-store.ts";
import { silentLogger } from "../../../src/telemetry/logger.ts";
import { startNatsServer, type NatsTestServer } from "../../support/nats-server.ts";

interface Setup extends AsyncDisposable {
  readonly server: NatsTestServer;
  readonly nats: Nats;
  readonly secrets: ResealableSecrets;
}

async function setup(): Promise<Setup> {
  await using resources = new AsyncDisposableStack();
  const server = resources.use(await startNatsServer());
  const nats = resources.use(
    await connectNats({
      url: server.url,
      name: "test",
      connectTimeoutMs: 5_000,
      logger: silentLogger,
      clock: { nowMs: () => Date.now() },
    }),
  );
  await provision(nats);
  const held = resources.move();
  const secrets = openSecretStore(nats);
  return { server, nats, secrets, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

/** A value that is found wherever it lies. It is not sealed here: what is asked is whether anything stays. */
function marker(): Buffer {
  return Buffer.from(`MARKER-${randomBytes(16).toString("hex")}`);
}

async function isOnDisk(server: NatsTestServer, value: Buffer): Promise<boolean> {
  const files = await readdir(server.storeDir, { recursive: true, withFileTypes: true });
  assert.ok(
    files.some((file) => file.isFile()),
    "the store has no files to look at",
  );
  for (const file of files) {
    if (!file.isFile()) continue;
    if ((await readFile(join(file.parentPath, file.name))).includes(value)) return true;
  }
  return false;
}

describe("the secret store", () => {
  it("gives back what was put, and lists what there is", async () => {
    await using store = await setup();
    const { secrets } = store;
    await secrets.put("tokens", "s-1", Buffer.from("one"));
    await secrets.put("share", "s-1", Buffer.from("two"));
    await secrets.put("tokens", "s-2", Buffer.from("three"));
    assert.equal(Buffer.from((await secrets.get("tokens", "s-1")) ?? "").toString(), "one");
    assert.equal(await secrets.get("lent", "s-1"), undefined);
    assert.deepEqual((await secrets.ids("tokens")).toSorted(), ["s-1", "s-2"]);
    assert.deepEqual(await secrets.ids("lent"), []);
    await secrets.erase("tokens", "s-1");
    await secrets.erase("tokens", "s-1");
    assert.equal(await secrets.get("tokens", "s-1"), undefined);
    assert.deepEqual(await secrets.ids("tokens"), ["s-2"]);
  });

  it("leaves nothing on the disk of what is erased or replaced, also after a restart", async () => {
    await using store = await setup();
    const { secrets, server } = store;
    const [replaced, erased, exchanged, left] = [marker(), marker(), marker(), marker()];
    await secrets.put("share", "s-1", replaced);
    assert.equal(await isOnDisk(server, replaced), true);
    await secrets.put("share", "s-1", erased);
    assert.equal(await isOnDisk(server, replaced), false);
    await secrets.put("contact", "p-1", exchanged);
    await secrets.exchange("contact", "p-1", { known: exchanged, sealed: left });
    assert.equal(await isOnDisk(server, exchanged), false);
    await secrets.erase("share", "s-1");
    assert.equal(await isOnDisk(server, erased), false);
    await server.restart();
    for (const gone of [replaced, erased, exchanged]) {
      assert.equal(await isOnDisk(server, gone), false);
    }
    assert.equal(await isOnDisk(server, left), true);
    assert.deepEqual(await secrets.get("contact", "p-1"), new Uint8Array(left));
  });

  it("erases everything that was ever put, also where an earlier erasure was cut short", async () => {
    await using store = await setup();
    const { secrets, nats, server } = store;
    const [first, second] = [marker(), marker()];
    // What two puts leave that died between storing and erasing.
    await nats.js.publish("mpc.sec.share.s-1", first);
    await nats.js.publish("mpc.sec.share.s-1", second);
    assert.deepEqual(await secrets.get("share", "s-1"), new Uint8Array(second));
    await secrets.erase("share", "s-1");
    assert.equal(await isOnDisk(server, first), false);
    assert.equal(await isOnDisk(server, second), false);
  });

  it("exchanges only the value that was read", async () => {
    await using store = await setup();
    const { secrets } = store;
    const [old, mine, theirs] = [marker(), marker(), marker()];
    await secrets.put("contact", "p-1", old);
    await secrets.put("contact", "p-1", theirs);
    const values = { known: old, sealed: mine };
    assert.equal(await secrets.exchange("contact", "p-1", values), false);
    assert.equal(await secrets.exchange("contact", "p-2", values), false);
    assert.deepEqual(await secrets.get("contact", "p-1"), new Uint8Array(theirs));
    const results = await Promise.all([
      secrets.exchange("contact", "p-1", { known: theirs, sealed: mine }),
      secrets.exchange("contact", "p-1", { known: theirs, sealed: marker() }),
    ]);
    assert.deepEqual(results.toSorted(), [false, true]);
  });
});

describe("seal keys", () => {
  it("are made once where there is no file, and are the same on every instance", async () => {
    await using store = await setup();
    const [one, two] = await Promise.all([
      openSealKeys(store.nats, []),
      openSealKeys(store.nats, []),
    ]);
    assert.equal(one.isDevelopment, true);
    assert.equal(one.keyring.currentKeyId, two.keyring.currentKeyId);
    const again = await openSealKeys(store.nats, []);
    assert.equal(again.keyring.currentKeyId, one.keyring.currentKeyId);
  });

  it("come from the file as soon as there is one, and then nothing lies open any more", async () => {
    await using store = await setup();
    const { nats, secrets, server } = store;
    const development = await openSealKeys(nats, []);
    const stored = await nats.jsm.streams.getMessage("MPC_SEC", { seq: 1 });
    assert.ok(stored);
    const developmentKey = Buffer.from(stored.data);
    assert.equal(await isOnDisk(server, developmentKey), true);
    await createVault(secrets, development.keyring).put("contact", "p-1", Buffer.from("contact"));

    const fileKey = randomBytes(32);
    const withFile = await openSealKeys(nats, [fileKey]);
    assert.equal(withFile.isDevelopment, false);
    assert.equal(await isOnDisk(server, developmentKey), false);
    // Sessions of the development key are still served.
    assert.deepEqual(withFile.keyring.keyIds[1], development.keyring.currentKeyId);
    assert.equal(withFile.developmentKeyId, development.keyring.currentKeyId);
    const sessions = { all: () => [] };
    const seals = await renewSeals({ secrets, keyring: withFile.keyring, sessions });
    assert.deepEqual(seals, {
      resealed: 1,
      unknownKeyIds: [],
      unusedKeyIds: [development.keyring.currentKeyId],
    });
    const vault = createVault(secrets, createKeyring([fileKey]));
    assert.equal(Buffer.from((await vault.get("contact", "p-1")) ?? "").toString(), "contact");

    // The file's keys may change while the development key is still there.
    const newer = randomBytes(32);
    const turned = await openSealKeys(nats, [newer, fileKey]);
    assert.equal(turned.developmentKeyId, development.keyring.currentKeyId);
    assert.equal((await openSealKeys(nats, [newer])).developmentKeyId, turned.developmentKeyId);
    await assert.rejects(openSealKeys(nats, []), /seal key file/);
    await turned.eraseDevelopmentKey();
    assert.equal((await openSealKeys(nats, [newer])).developmentKeyId, undefined);
  });
});
