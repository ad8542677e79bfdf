import { createHash } from "node:crypto";
import { beginKeygen, type ByIndex, type KeyShare } from "../frost/key-generation.ts";
import type { ReceivedMessage } from "../../src/party/index.ts";
import { peerIds, type Seat } from "./seat.ts";
import { acknowledge } from "./session-mail.ts";

const commitmentsType = "frost/dkg1";
const shareType = "frost/dkg2";

const hashBytes = 32;

/** Distributed key generation: commitments to everybody, then a share to each other party. */
export async function generateKey(seat: Seat): Promise<KeyShare> {
  const { session, mail, peers } = seat;
  const commitment = beginKeygen(session);

  await seat.beforeRound(1);
  await session.broadcast({ round: 1, type: commitmentsType, payload: commitment.broadcast });
  const broadcasts = await mail.take(commitmentsType, peerIds(seat));
  const round2 = commitment.next(payloadsOf(seat, broadcasts));
  await acknowledge(broadcasts);

  await seat.beforeRound(2);
  // A party could show each other one other commitments: what a sender saw goes along with each of its shares.
  const seen = createHash("sha256").update(round2.transcript).digest();
  for (const { partyId, partyIndex } of peers) {
    const share = round2.shares.get(partyIndex);
    if (share === undefined) throw new Error(`FROST made no share for ${partyId}`);
    await session.send(partyId, {
      round: 2,
      type: shareType,
      payload: Buffer.concat([share, seen]),
    });
  }
  const received = await mail.take(shareType, peerIds(seat));
  for (const { from, payload } of received) {
    if (!seen.equals(payload.subarray(-hashBytes))) {
      throw new Error(`${from} was shown other commitments`);
    }
  }
  const payloads = [...payloadsOf(seat, received)];
  const key = round2.finish(
    new Map(payloads.map(([index, bytes]) => [index, bytes.slice(0, -hashBytes)])),
  );
  await acknowledge(received);
  return key;
}

/** Payloads in the order of the peers, by the index of their sender. */
export function payloadsOf(seat: Seat, messages: readonly ReceivedMessage[]): ByIndex {
  return new Map(
    seat.peers.map((peer, i) => {
      const message = messages[i];
      if (message === undefined) throw new Error(`nothing from ${peer.partyId}`);
      return [peer.partyIndex, message.payload];
    }),
  );
}
