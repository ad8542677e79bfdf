import { ed25519, x25519 } from "@noble/curves/ed25519.js";
import { joined } from "./bytes.ts";

const keyBytes = 32;

/** What others know of a party. It is pinned out of band: a key that came through the router proves nothing. */
export interface PublicIdentity {
  /** X25519, 32 bytes: for HPKE. */
  readonly encryptionKey: Uint8Array;
  /** Ed25519, 32 bytes. */
  readonly signingKey: Uint8Array;
}

/** A party's long-term keys. They never leave it. */
export interface Identity {
  /** X25519, 32 bytes. */
  readonly decryptionKey: Uint8Array;
  /** Ed25519 seed, 32 bytes. */
  readonly signingSeed: Uint8Array;
  readonly public: PublicIdentity;
}

export function createIdentity(): Identity {
  return identityOf(x25519.utils.randomSecretKey(), ed25519.utils.randomSecretKey());
}

export function publicIdentity(identity: Identity): PublicIdentity {
  return identity.public;
}

/** 64 secret bytes, for a key store. */
export function exportIdentity(identity: Identity): Uint8Array {
  return joined(identity.decryptionKey, identity.signingSeed);
}

/** Throws a RangeError when these are not 64 bytes. */
export function importIdentity(secret: Uint8Array): Identity {
  const [decryptionKey, signingSeed] = halves(secret);
  return identityOf(decryptionKey, signingSeed);
}

/** 64 bytes that may be shown to everybody. */
export function exportPublicIdentity(identity: PublicIdentity): Uint8Array {
  return joined(identity.encryptionKey, identity.signingKey);
}

/** Throws a RangeError when these are not 64 bytes. */
export function importPublicIdentity(bytes: Uint8Array): PublicIdentity {
  const [encryptionKey, signingKey] = halves(bytes);
  return { encryptionKey, signingKey };
}

function identityOf(decryptionKey: Uint8Array, signingSeed: Uint8Array): Identity {
  return {
    decryptionKey,
    signingSeed,
    public: {
      encryptionKey: x25519.getPublicKey(decryptionKey),
      signingKey: ed25519.getPublicKey(signingSeed),
    },
  };
}

function halves(bytes: Uint8Array): readonly [Uint8Array, Uint8Array] {
  if (bytes.length !== 2 * keyBytes) throw new RangeError("an identity is 64 bytes");
  return [bytes.slice(0, keyBytes), bytes.slice(keyBytes)];
}
