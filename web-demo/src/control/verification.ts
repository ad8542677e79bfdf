import { bytesOfHex } from "./bytes.ts";

/** What is signed: the hash of the message. */
export async function hashOf(message: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(message)));
}

/**
 * Whether this is a plain Ed25519 signature of the hash. The browser itself is asked, which knows nothing of
 * thresholds.
 */
export async function isSignature(signed: {
  /** Hex, as all of these. */
  readonly messageHash: string;
  readonly publicKey: string;
  readonly signature: string;
}): Promise<boolean> {
  const raw = bytesOfHex(signed.publicKey);
  const key = await crypto.subtle.importKey("raw", raw, "Ed25519", false, ["verify"]);
  const { signature, messageHash } = signed;
  return crypto.subtle.verify("Ed25519", key, bytesOfHex(signature), bytesOfHex(messageHash));
}
