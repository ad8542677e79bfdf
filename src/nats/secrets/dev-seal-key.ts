import { randomBytes } from "node:crypto";
import { createKeyring, type Keyring } from "../../domain/secrets/keyring.ts";
import type { Nats } from "../connection.ts";
import { leaderMessage } from "../reading.ts";
import { eraseBefore, publishSecret } from "./secret-store.ts";
import { streams, subjects } from "../subjects.ts";

/** Not a kind of the secret store: it is the key to all of them. */
const subject = subjects.secret("key", "development");
const sealContext = "key/development";
const keyBytes = 32;

type MasterKeys = [Uint8Array, ...Uint8Array[]];

/** The store was used with a seal key file before, and there is none now. */
export class KeyFileNeededError extends Error {
  override readonly name = "KeyFileNeededError";

  constructor() {
    super("a seal key file was used with this message store before; it is needed again");
  }
}

export interface SealKeys {
  readonly keyring: Keyring;
  /** Whether the key lies beside what it seals, since there is no key file: for development only. */
  readonly isDevelopment: boolean;
  /** Id of the development key, where one is still known. */
  readonly developmentKeyId: string | undefined;
  /** Erases the development key; to be called when nothing uses it any more. */
  eraseDevelopmentKey(): Promise<void>;
}

/**
 * The keys of the seal key file, the first is current. Without a file a random key is made and kept in the broker.
 * Once there is a file, that key is itself sealed under the file's, and serves as long as something still uses it.
 */
export async function openSealKeys(nats: Nats, fileKeys: readonly Uint8Array[]): Promise<SealKeys> {
  const [first, ...others] = fileKeys;
  const eraseDevelopmentKey = (): Promise<void> =>
    eraseBefore(nats, subject, Number.MAX_SAFE_INTEGER);
  if (first === undefined) {
    const keyring = createKeyring([await developmentKey(nats)]);
    const developmentKeyId = keyring.currentKeyId;
    return { keyring, isDevelopment: true, developmentKeyId, eraseDevelopmentKey };
  }
  const fromFile: MasterKeys = [first, ...others];
  const left = await leftDevelopmentKey(nats, createKeyring(fromFile));
  return {
    keyring: createKeyring(left === undefined ? fromFile : [...fromFile, left]),
    isDevelopment: false,
    developmentKeyId: left === undefined ? undefined : createKeyring([left]).currentKeyId,
    eraseDevelopmentKey,
  };
}

/** The random key that all instances share; the first of them makes it. */
async function developmentKey(nats: Nats): Promise<Uint8Array> {
  for (;;) {
    const stored = await leaderMessage(nats, streams.secrets, subject);
    if (stored !== undefined) return requirePlain(stored.data);
    await publishSecret(nats, { subject, after: 0 }, randomBytes(keyBytes));
  }
}

/** The key from the time before there was a file; from now on it is stored sealed. */
async function leftDevelopmentKey(nats: Nats, keyring: Keyring): Promise<Uint8Array | undefined> {
  for (;;) {
    const stored = await leaderMessage(nats, streams.secrets, subject);
    if (stored === undefined) return undefined;
    const isPlain = stored.data.length === keyBytes;
    const key = isPlain ? stored.data : keyring.open(sealContext, stored.data);
    if (!isPlain && keyring.keyIdOf(stored.data) === keyring.currentKeyId) return key;
    const sealed = keyring.seal(sealContext, key);
    const sequence = await publishSecret(nats, { subject, after: stored.seq }, sealed);
    if (sequence === undefined) continue;
    await eraseBefore(nats, subject, sequence);
    return key;
  }
}

/** A sealed key is longer: then a key file was used with this store before, and is needed again. */
function requirePlain(stored: Uint8Array): Uint8Array {
  if (stored.length === keyBytes) return stored;
  throw new KeyFileNeededError();
}
