import { setTimeout as sleep } from "node:timers/promises";
import type { Identity, PeerKey } from "./sealing.ts";
import type { SessionMail } from "./session-mail.ts";

/** Another party at the table. */
export interface Peer {
  readonly partyId: string;
  readonly partyIndex: number;
  readonly key: PeerKey;
}

/** A party's place in one running session: all that a protocol needs to run. */
export interface Seat {
  readonly sessionId: string;
  readonly partyId: string;
  readonly partyIndex: number;
  readonly thresholdT: number;
  readonly thresholdN: number;
  readonly identity: Identity;
  /** Everybody else, by index. */
  readonly peers: readonly Peer[];
  readonly mail: SessionMail;
  /** Called before each round, from 1; rests as long as the settings say. */
  readonly beforeRound: (round: number) => Promise<void>;
}

export function peerIds(seat: Seat): readonly string[] {
  return seat.peers.map((peer) => peer.partyId);
}

export async function rest(pauseMs: number, signal: AbortSignal): Promise<void> {
  if (pauseMs > 0) await sleep(pauseMs, undefined, { signal });
}
