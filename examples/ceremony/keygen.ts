import { createHash } from "node:crypto";
import { ed25519_FROST as frost } from "@noble/curves/ed25519.js";
import type { Key } from "@noble/curves/abstract/frost.js";
import { decodeRound1, encodeRound1, identifierOf } from "./frost-wire.ts";
import { peerIds, type Peer, type Seat } from "./seat.ts";
import { seal, unseal, type Envelope } from "./sealing.ts";

const commitmentsType = "frost/dkg1";
const shareType = "frost/dkg2";

/** A party's share of a key, and what everybody knows about that key. */
export type KeyShare = Key;

/** Distributed key generation: commitments to everybody, then a sealed share to each other party. */
export async function generateKey(seat: Seat): Promise<KeyShare> {
  const { mail, peers } = seat;
  const signers = { min: seat.thresholdT, max: seat.thresholdN };
  const own = frost.DKG.round1(identifierOf(seat.partyIndex), signers);
  const ownPayload = encodeRound1(own.public);

  await seat.beforeRound(1);
  const round1 = { to: [], recipients: peers.length, round: 1, type: commitmentsType };
  await mail.send({ ...round1, payload: ownPayload });
  const broadcasts = await mail.take(commitmentsType, peerIds(seat));
  const commitments = peers.map((peer, i) => {
    return decodeRound1(payloadAt(broadcasts, i), identifierOf(peer.partyIndex), signers.min);
  });
  const shares = frost.DKG.round2(own.secret, commitments);
  await mail.acknowledge(broadcasts);

  await seat.beforeRound(2);
  const everyPayload = peers.map((peer, i) => {
    return { partyIndex: peer.partyIndex, payload: payloadAt(broadcasts, i) };
  });
  const transcript = transcriptOf([
    ...everyPayload,
    { partyIndex: seat.partyIndex, payload: ownPayload },
  ]);
  for (const peer of peers) {
    const share = shares[identifierOf(peer.partyIndex)]?.signingShare;
    if (share === undefined) throw new Error(`FROST made no share for ${peer.partyId}`);
    const keys = { sender: seat.identity, recipient: peer.key };
    const payload = await seal(keys, envelopeOf(seat, peer.partyId, transcript), share);
    await mail.send({ to: [peer.partyId], recipients: 1, round: 2, type: shareType, payload });
  }
  const sealed = await mail.take(shareType, peerIds(seat));
  const received = await Promise.all(
    peers.map(async (peer, i) => openShare({ seat, peer, transcript }, payloadAt(sealed, i))),
  );
  const key = frost.DKG.round3(own.secret, commitments, received);
  await mail.acknowledge(sealed);
  return key;
}

export function groupKeyOf(key: KeyShare): Uint8Array {
  const [groupKey] = key.public.commitments;
  if (groupKey === undefined) throw new Error("a FROST key without a group key");
  return groupKey;
}

async function openShare(
  context: { readonly seat: Seat; readonly peer: Peer; readonly transcript: string },
  sealed: Uint8Array,
): Promise<{ identifier: string; signingShare: Uint8Array<ArrayBuffer> }> {
  const { seat, peer, transcript } = context;
  const keys = { sender: peer.key, recipient: seat.identity };
  const envelope = { ...envelopeOf(seat, seat.partyId, transcript), from: peer.partyId };
  const share = await unseal(keys, envelope, sealed);
  return { identifier: identifierOf(peer.partyIndex), signingShare: Uint8Array.from(share) };
}

function envelopeOf(seat: Seat, to: string, transcript: string): Envelope {
  const { sessionId, partyId } = seat;
  return { sessionId, from: partyId, to, round: 2, type: shareType, transcript };
}

/** The broadcasts as this party saw them. The router could show each party other ones; then no share opens. */
function transcriptOf(broadcasts: readonly { partyIndex: number; payload: Uint8Array }[]): string {
  const hash = createHash("sha256");
  for (const { payload } of broadcasts.toSorted((a, b) => a.partyIndex - b.partyIndex)) {
    hash.update(payload);
  }
  return hash.digest("hex");
}

function payloadAt(messages: readonly { payload: Uint8Array }[], index: number): Uint8Array {
  const message = messages[index];
  if (message === undefined) throw new Error("a sender without a message");
  return message.payload;
}
