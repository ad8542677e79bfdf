import type { SealedSession, SessionParty } from "../../src/party/index.ts";
import type { SessionMail } from "./session-mail.ts";

/** A party's place in one running session: all that a protocol needs to run. */
export interface Seat {
  readonly session: SealedSession;
  /** Everybody else, by index. */
  readonly peers: readonly SessionParty[];
  readonly mail: SessionMail;
  /** Called before each round, from 1; rests as long as the settings say. */
  readonly beforeRound: (round: number) => Promise<void>;
}

export function peerIds(seat: Seat): readonly string[] {
  return seat.peers.map((peer) => peer.partyId);
}
