import type { KeyShare } from "../frost/key-generation.ts";
import { beginSigning } from "../frost/signing.ts";
import { payloadsOf } from "./keygen.ts";
import { peerIds, type Seat } from "./seat.ts";
import { acknowledge } from "./session-mail.ts";

const commitmentsType = "frost/commit";
const shareType = "frost/share";

/** Signs with the other parties of the session: nonce commitments, then signature shares; each party adds them up. */
export async function sign(
  seat: Seat,
  key: KeyShare,
  messageHash: Uint8Array,
): Promise<Uint8Array> {
  const { session, mail } = seat;
  const nonces = beginSigning(session.partyIndex, key, messageHash);

  await seat.beforeRound(1);
  await session.broadcast({ round: 1, type: commitmentsType, payload: nonces.broadcast });
  const commitments = await mail.take(commitmentsType, peerIds(seat));
  const own = nonces.next(payloadsOf(seat, commitments));
  await acknowledge(commitments);

  await seat.beforeRound(2);
  await session.broadcast({ round: 2, type: shareType, payload: own.broadcast });
  const shares = await mail.take(shareType, peerIds(seat));
  const signature = own.finish(payloadsOf(seat, shares));
  await acknowledge(shares);
  return signature;
}
