import { Aes128Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";

/** HPKE (RFC 9180) in Auth mode: only the recipient can open it, and only this sender can have sealed it. */
const hpke: CipherSuite = new CipherSuite({
  kem: new DhkemX25519HkdfSha256(),
  kdf: new HkdfSha256(),
  aead: new Aes128Gcm(),
});

const info = new TextEncoder().encode("mpc-router/ceremony/v1");
const encapsulatedKeyBytes = 32;

/** A party's long-term key pair. The private half never leaves its process. */
export type Identity = Awaited<ReturnType<CipherSuite["kem"]["generateKeyPair"]>>;

/** Somebody else's public key, known beforehand and not from the router. */
export type PeerKey = Identity["publicKey"];

/** Where a sealed payload belongs; opened anywhere else, it does not open. */
export interface Envelope {
  readonly sessionId: string;
  readonly from: string;
  readonly to: string;
  readonly round: number;
  readonly type: string;
  /** Hash of all broadcasts so far, in hex: two parties that were shown different ones cannot open each other's. */
  readonly transcript: string;
}

export async function createIdentity(): Promise<Identity> {
  return hpke.kem.generateKeyPair();
}

export async function exportPeerKey(key: PeerKey): Promise<string> {
  return Buffer.from(await hpke.kem.serializePublicKey(key)).toString("base64");
}

export async function importPeerKey(text: string): Promise<PeerKey> {
  return hpke.kem.deserializePublicKey(exactBytes(Buffer.from(text, "base64")));
}

export async function seal(
  keys: { readonly sender: Identity; readonly recipient: PeerKey },
  envelope: Envelope,
  plain: Uint8Array,
): Promise<Uint8Array> {
  const context = await hpke.createSenderContext({
    senderKey: keys.sender,
    recipientPublicKey: keys.recipient,
    info,
  });
  const sealed = await context.seal(exactBytes(plain), boundTo(envelope));
  return Buffer.concat([new Uint8Array(context.enc), new Uint8Array(sealed)]);
}

export async function unseal(
  keys: { readonly sender: PeerKey; readonly recipient: Identity },
  envelope: Envelope,
  sealed: Uint8Array,
): Promise<Uint8Array> {
  const context = await hpke.createRecipientContext({
    recipientKey: keys.recipient,
    senderPublicKey: keys.sender,
    enc: exactBytes(sealed.subarray(0, encapsulatedKeyBytes)),
    info,
  });
  const body = exactBytes(sealed.subarray(encapsulatedKeyBytes));
  return new Uint8Array(await context.open(body, boundTo(envelope)));
}

/** Ids hold no line break, so no two envelopes give the same bytes. */
function boundTo(envelope: Envelope): ArrayBuffer {
  const { sessionId, from, to, round, type, transcript } = envelope;
  return exactBytes(
    new TextEncoder().encode([sessionId, from, to, round, type, transcript].join("\n")),
  );
}

/** A buffer of its own that holds these bytes only; a view may look at part of a larger one. */
function exactBytes(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}
