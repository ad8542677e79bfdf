import { createPublicKey, verify } from "node:crypto";
import { ed25519 } from "@noble/curves/ed25519.js";

export interface SignedHash {
  readonly signature: Uint8Array;
  readonly messageHash: Uint8Array;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
}

/**
 * Whether this is a plain Ed25519 signature, as any verifier sees it. Two of them are asked that know nothing of
 * thresholds: OpenSSL, and the curve library without its FROST part.
 */
export function isVerified(signed: SignedHash): boolean {
  const { signature, messageHash, publicKey } = signed;
  const x = Buffer.from(publicKey).toString("base64url");
  const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  return (
    verify(null, messageHash, key, signature) && ed25519.verify(signature, messageHash, publicKey)
  );
}
