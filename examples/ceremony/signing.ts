import { ed25519_FROST as frost } from "@noble/curves/ed25519.js";
import { decodeCommitments, encodeCommitments, identifierOf } from "./frost-wire.ts";
import { groupKeyOf, type KeyShare } from "./keygen.ts";
import { peerIds, type Seat } from "./seat.ts";

const commitmentsType = "frost/commit";
const shareType = "frost/share";

/** Signs with the other parties of the session: nonce commitments, then signature shares; each party adds them up. */
export async function sign(
  seat: Seat,
  key: KeyShare,
  messageHash: Uint8Array,
): Promise<Uint8Array> {
  const { mail, peers } = seat;
  const own = frost.commit(key.secret);

  await seat.beforeRound(1);
  const toAll = { to: [], recipients: peers.length };
  const payload = encodeCommitments(own.commitments);
  await mail.send({ ...toAll, round: 1, type: commitmentsType, payload });
  const broadcasts = await mail.take(commitmentsType, peerIds(seat));
  const commitments = broadcasts.map((message) => {
    return decodeCommitments(message.payload, senderOf(seat, message.fromParty));
  });
  const all = [own.commitments, ...commitments];
  // A nonce that signs twice gives the key away: the call destroys it.
  const share = frost.signShare(key.secret, key.public, own.nonces, all, messageHash);
  await mail.acknowledge(broadcasts);

  await seat.beforeRound(2);
  await mail.send({ ...toAll, round: 2, type: shareType, payload: share });
  const others = await mail.take(shareType, peerIds(seat));
  const shares: Record<string, Uint8Array> = { [identifierOf(seat.partyIndex)]: share };
  for (const message of others) {
    const sender = senderOf(seat, message.fromParty);
    if (!frost.verifyShare(key.public, all, messageHash, sender, message.payload)) {
      throw new Error(`${message.fromParty} sent a signature share that does not verify`);
    }
    shares[sender] = message.payload;
  }
  const signature = frost.aggregate(key.public, all, messageHash, shares);
  if (!frost.verify(signature, messageHash, groupKeyOf(key))) {
    throw new Error("the signature does not verify");
  }
  await mail.acknowledge(others);
  return signature;
}

function senderOf(seat: Seat, partyId: string): string {
  const peer = seat.peers.find((one) => one.partyId === partyId);
  if (peer === undefined) throw new Error(`${partyId} is not a party of the session`);
  return identifierOf(peer.partyIndex);
}
