/** The rounds of a key generation and of a signature, in the order in which they happen. */
export type RoundId = "keygen-1" | "keygen-2" | "sign-1" | "sign-2";

export interface Round {
  readonly id: RoundId;
  readonly session: "keygen" | "sign";
  readonly number: number;
  /** As the router sees it. */
  readonly messageType: string;
  readonly isBroadcast: boolean;
  readonly title: string;
  /** One message of it, in a sentence: "Alice wants to send …". */
  readonly item: string;
  /** What the round is for. */
  readonly purpose: string;
}

export const rounds: readonly Round[] = [
  {
    id: "keygen-1",
    session: "keygen",
    number: 1,
    messageType: "frost/dkg1",
    isBroadcast: true,
    title: "Commitments",
    item: "its commitment",
    purpose: "Each party picks a secret of its own and commits to it before everybody.",
  },
  {
    id: "keygen-2",
    session: "keygen",
    number: 2,
    messageType: "frost/dkg2",
    isBroadcast: false,
    title: "Secret shares",
    item: "a secret share",
    purpose: "Each gives every other party a piece of its secret, sealed for that party alone.",
  },
  {
    id: "sign-1",
    session: "sign",
    number: 1,
    messageType: "frost/commit",
    isBroadcast: true,
    title: "Nonce commitments",
    item: "its nonce commitments",
    purpose: "Each signer commits to randomness that is used once.",
  },
  {
    id: "sign-2",
    session: "sign",
    number: 2,
    messageType: "frost/share",
    isBroadcast: true,
    title: "Signature shares",
    item: "its signature share",
    purpose: "Each signs with its share. Added up, the pieces are one plain signature.",
  },
];

export function roundOfType(messageType: string): Round | undefined {
  return rounds.find((round) => round.messageType === messageType);
}

export function roundOf(id: RoundId): Round {
  const round = rounds.find((one) => one.id === id);
  if (round === undefined) throw new Error(`no round ${id}`);
  return round;
}
