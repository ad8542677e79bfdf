import { Aes128Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";
import { ed25519 } from "@noble/curves/ed25519.js";
import { ByteReader, exact, joined, sha256, utf8 } from "./bytes.ts";
import type { Identity, PublicIdentity } from "./identity.ts";
import { SealError } from "./seal-error.ts";
import { decodeHeader, encodeHeader, type SealedHeader } from "./sealed-header.ts";

/** RFC 9180, base mode. Who sealed a message is proved by a signature, so that several recipients can share one body. */
const hpke: CipherSuite = new CipherSuite({
  kem: new DhkemX25519HkdfSha256(),
  kdf: new HkdfSha256(),
  aead: new Aes128Gcm(),
});

const info: ArrayBuffer = exact(utf8("mpc-router/sealed/1 content key"));
const signatureContext: Uint8Array = utf8("mpc-router/sealed/1 message\0");

const contentKeyBytes = 16;
const encapsulatedBytes = 32;
const tagBytes = 16;
const sealedKeyBytes: number = encapsulatedBytes + contentKeyBytes + tagBytes;
const signatureBytes = 64;

/** A content key seals one body: no other nonce is ever used with it. */
const bodyNonce: Uint8Array<ArrayBuffer> = new Uint8Array(12);

/** A sealed message whose sender is proved, and that is not opened yet. */
export interface SignedMessage {
  readonly header: SealedHeader;
  readonly headerBytes: Uint8Array;
  /** One a recipient, in the order of the header. */
  readonly sealedKeys: readonly Uint8Array[];
  readonly sealedBody: Uint8Array;
}

/** The bytes that go through the router: header, a sealed key for each recipient, sealed body, signature. */
export async function seal(
  header: SealedHeader,
  body: Uint8Array,
  keys: { readonly identity: Identity; readonly recipients: readonly PublicIdentity[] },
): Promise<Uint8Array> {
  const headerBytes = encodeHeader(header);
  const contentKey = crypto.getRandomValues(new Uint8Array(contentKeyBytes));
  const sealedKeys = await Promise.all(
    keys.recipients.map(({ encryptionKey }) => sealKey(encryptionKey, contentKey, headerBytes)),
  );
  const sealedBody = await crypto.subtle.encrypt(
    { name: "AES-GCM", iv: bodyNonce, additionalData: exact(headerBytes) },
    await bodyKey(contentKey, "encrypt"),
    exact(body),
  );
  const signed = joined(headerBytes, ...sealedKeys, new Uint8Array(sealedBody));
  return joined(signed, ed25519.sign(await digestOf(signed), keys.identity.signingSeed));
}

/** Takes the bytes apart and checks the signature with the key that is pinned for the sender. */
export async function verifySeal(
  sealed: Uint8Array,
  signingKeyOf: (partyId: string) => Uint8Array | undefined,
): Promise<SignedMessage> {
  const message = takeApart(sealed);
  const { from } = message.header;
  const signingKey = signingKeyOf(from);
  if (signingKey === undefined) {
    throw new SealError("UNKNOWN_PEER", `no key is pinned for ${from}`, { partyId: from });
  }
  const digest = await digestOf(sealed.subarray(0, -signatureBytes));
  if (!isSignature(sealed.subarray(-signatureBytes), digest, signingKey)) {
    throw new SealError("TAMPERED", "the signature is not the sender's", { partyId: from });
  }
  return message;
}

/** Opens what was sealed for this party. */
export async function open(
  message: SignedMessage,
  partyId: string,
  identity: Identity,
): Promise<Uint8Array> {
  const { header, headerBytes, sealedKeys, sealedBody } = message;
  const sealedKey = sealedKeys[header.to.indexOf(partyId)];
  if (sealedKey === undefined) {
    throw new SealError("MISDIRECTED", "it was sealed for others", { partyId: header.from });
  }
  try {
    const contentKey = await openKey(sealedKey, identity, headerBytes);
    const body = await crypto.subtle.decrypt(
      { name: "AES-GCM", iv: bodyNonce, additionalData: exact(headerBytes) },
      await bodyKey(new Uint8Array(contentKey), "decrypt"),
      exact(sealedBody),
    );
    return new Uint8Array(body);
  } catch (error) {
    const text = "it does not open with this party's key";
    throw new SealError("UNREADABLE", text, { partyId: header.from, cause: error });
  }
}

function takeApart(sealed: Uint8Array): SignedMessage {
  try {
    const reader = new ByteReader(sealed);
    const header = decodeHeader(reader);
    const headerBytes = sealed.subarray(0, reader.position);
    const sealedKeys = header.to.map(() => reader.bytes(sealedKeyBytes));
    const bodyLength = reader.left - signatureBytes;
    if (bodyLength < tagBytes) throw new RangeError("too few bytes");
    return { header, headerBytes, sealedKeys, sealedBody: reader.bytes(bodyLength) };
  } catch (error) {
    throw new SealError("MALFORMED", "these bytes are no sealed message", { cause: error });
  }
}

async function sealKey(
  encryptionKey: Uint8Array,
  contentKey: Uint8Array,
  headerBytes: Uint8Array,
): Promise<Uint8Array> {
  const recipientPublicKey = await hpke.kem.importKey("raw", exact(encryptionKey), true);
  const { enc, ct } = await hpke.seal(
    { recipientPublicKey, info },
    exact(contentKey),
    exact(headerBytes),
  );
  return joined(new Uint8Array(enc), new Uint8Array(ct));
}

async function openKey(
  sealedKey: Uint8Array,
  identity: Identity,
  headerBytes: Uint8Array,
): Promise<ArrayBuffer> {
  const { decryptionKey, public: own } = identity;
  const recipientKey = {
    privateKey: await hpke.kem.importKey("raw", exact(decryptionKey), false),
    publicKey: await hpke.kem.importKey("raw", exact(own.encryptionKey), true),
  };
  const enc = exact(sealedKey.subarray(0, encapsulatedBytes));
  const ct = exact(sealedKey.subarray(encapsulatedBytes));
  return hpke.open({ recipientKey, enc, info }, ct, exact(headerBytes));
}

async function bodyKey(
  contentKey: Uint8Array,
  use: "encrypt" | "decrypt",
): Promise<Awaited<ReturnType<typeof crypto.subtle.importKey>>> {
  return crypto.subtle.importKey("raw", exact(contentKey), "AES-GCM", false, [use]);
}

/** What is signed is short however large the message is. */
async function digestOf(signed: Uint8Array): Promise<Uint8Array> {
  return joined(signatureContext, await sha256(signed));
}

function isSignature(signature: Uint8Array, digest: Uint8Array, key: Uint8Array): boolean {
  try {
    return ed25519.verify(signature, digest, key, { zip215: false });
  } catch {
    // Bytes that are no point on the curve are no signature.
    return false;
  }
}
