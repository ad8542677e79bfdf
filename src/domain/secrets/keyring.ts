import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  hkdfSync,
  randomBytes,
} from "node:crypto";

/**
 * The router's keys. One master key a line of the seal key file, the first is current; everything else is derived
 * from them (HKDF-SHA256) and never stored. A sealed value and a session name the id of their key.
 */
export interface Keyring {
  /** Id of the key that new values and sessions use: 16 hexadecimal digits. */
  readonly currentKeyId: string;
  /** Ids of all keys, the current one first. */
  readonly keyIds: readonly string[];
  /** HMAC-SHA256 under a key derived for `purpose`. Unknown key: throws. */
  mac(keyId: string, purpose: MacPurpose, ...parts: readonly string[]): Buffer;
  /** AES-256-GCM under the current key; `context` is bound and must be given again to open. */
  seal(context: string, plain: Uint8Array): Uint8Array;
  /** Opens what `seal` made with any key of the ring; throws when the key is unknown or the value was changed. */
  open(context: string, sealed: Uint8Array): Uint8Array;
  /** Which key sealed this value. */
  keyIdOf(sealed: Uint8Array): string;
}

type MacPurpose = "join-token" | "message-id";

/** What was to be opened was sealed with a key that is not in the ring. */
export class UnknownKeyError extends Error {
  override readonly name = "UnknownKeyError";

  constructor(keyId: string) {
    super(`the seal key file has no key ${keyId}, which stored secrets need`);
  }
}

const ivBytes = 12;
const tagBytes = 16;
const keyIdBytes = 8;

interface MasterKey {
  readonly keyId: string;
  readonly derive: (purpose: string) => Buffer;
}

/** `masterKeys`: 32 bytes each, the first is current. */
export function createKeyring(masterKeys: readonly [Uint8Array, ...Uint8Array[]]): Keyring {
  const keys = masterKeys.map(masterKey);
  const current = keys[0];
  if (current === undefined) throw new Error("a keyring needs a key");
  const byId = new Map(keys.map((key) => [key.keyId, key]));
  const find = (keyId: string): MasterKey => {
    const key = byId.get(keyId);
    if (key === undefined) throw new UnknownKeyError(keyId);
    return key;
  };
  return {
    currentKeyId: current.keyId,
    keyIds: keys.map((key) => key.keyId),
    mac(keyId, purpose, ...parts) {
      const mac = createHmac("sha256", find(keyId).derive(purpose));
      for (const part of parts) mac.update(lengthPrefixed(part));
      return mac.digest();
    },
    seal(context, plain) {
      const iv = randomBytes(ivBytes);
      const cipher = createCipheriv("aes-256-gcm", current.derive("seal"), iv);
      cipher.setAAD(Buffer.from(context));
      const body = Buffer.concat([cipher.update(plain), cipher.final()]);
      return Buffer.concat([Buffer.from(current.keyId, "hex"), iv, cipher.getAuthTag(), body]);
    },
    open(context, sealed) {
      const box = Buffer.from(sealed);
      const iv = box.subarray(keyIdBytes, keyIdBytes + ivBytes);
      const tag = box.subarray(keyIdBytes + ivBytes, keyIdBytes + ivBytes + tagBytes);
      const decipher = createDecipheriv("aes-256-gcm", find(keyIdOf(sealed)).derive("seal"), iv);
      decipher.setAAD(Buffer.from(context));
      decipher.setAuthTag(tag);
      const body = box.subarray(keyIdBytes + ivBytes + tagBytes);
      return Buffer.concat([decipher.update(body), decipher.final()]);
    },
    keyIdOf,
  };
}

function keyIdOf(sealed: Uint8Array): string {
  return Buffer.from(sealed.subarray(0, keyIdBytes)).toString("hex");
}

function masterKey(secret: Uint8Array): MasterKey {
  const derived = new Map<string, Buffer>();
  const derive = (purpose: string): Buffer => {
    const known = derived.get(purpose);
    if (known !== undefined) return known;
    const key = Buffer.from(hkdfSync("sha256", secret, "", `mpc-router/${purpose}`, 32));
    derived.set(purpose, key);
    return key;
  };
  const keyId = createHash("sha256")
    .update(derive("key-id"))
    .digest("hex")
    .slice(0, 2 * keyIdBytes);
  return { keyId, derive };
}

/** So that ("ab", "c") and ("a", "bc") never give the same bytes. */
function lengthPrefixed(part: string): Buffer {
  const bytes = Buffer.from(part);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
