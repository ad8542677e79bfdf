import { ed25519_FROST as frost } from "@noble/curves/ed25519.js";
import type { Key } from "@noble/curves/abstract/frost.js";
import { concatBytes } from "@noble/curves/utils.js";
import { decodeRound1, encodeRound1, identifierOf } from "./frost-wire.ts";

/** A party's share of a key, and what everybody knows about that key. */
export type KeyShare = Key;

/** Payloads by the party index of their sender or recipient. */
export type ByIndex = ReadonlyMap<number, Uint8Array>;

/** Where a party sits, and how many parties a key has and a signature needs. */
export interface FrostSeat {
  readonly partyIndex: number;
  readonly thresholdT: number;
  readonly thresholdN: number;
}

/** Round 1: what this party commits itself to, for everybody. */
export interface KeygenCommitment {
  readonly broadcast: Uint8Array;
  /** Takes the broadcasts of all others; rejects what does not prove its sender's knowledge. */
  next(broadcasts: ByIndex): KeygenShares;
}

/** Round 2: a secret share for each other party, which nobody else may see. */
interface KeygenShares {
  readonly shares: ByIndex;
  /** All broadcasts as this party saw them: parties that were shown different ones must not go on. */
  readonly transcript: Uint8Array;
  /** Takes the shares made for this party; rejects one that does not fit its sender's commitment. */
  finish(shares: ByIndex): KeyShare;
}

/** Distributed key generation as one party does it. Who calls carries the messages. */
export function beginKeygen(seat: FrostSeat): KeygenCommitment {
  const signers = { min: seat.thresholdT, max: seat.thresholdN };
  const own = frost.DKG.round1(identifierOf(seat.partyIndex), signers);
  const broadcast = encodeRound1(own.public);
  return {
    broadcast,
    next(broadcasts) {
      const senders = [...broadcasts.keys()].toSorted((a, b) => a - b);
      const commitments = senders.map((index) =>
        decodeRound1(payloadOf(broadcasts, index), identifierOf(index), signers.min),
      );
      const made = frost.DKG.round2(own.secret, commitments);
      const shares = new Map<number, Uint8Array>();
      for (const index of senders) {
        const share = made[identifierOf(index)]?.signingShare;
        if (share === undefined) throw new Error(`FROST made no share for party ${index}`);
        shares.set(index, share);
      }
      return {
        shares,
        transcript: transcriptOf(new Map([...broadcasts, [seat.partyIndex, broadcast]])),
        finish: (received) =>
          frost.DKG.round3(
            own.secret,
            commitments,
            senders.map((index) => ({
              identifier: identifierOf(index),
              signingShare: Uint8Array.from(payloadOf(received, index)),
            })),
          ),
      };
    },
  };
}

export function groupKeyOf(key: KeyShare): Uint8Array {
  const [groupKey] = key.public.commitments;
  if (groupKey === undefined) throw new Error("a FROST key without a group key");
  return groupKey;
}

function transcriptOf(broadcasts: ByIndex): Uint8Array {
  const byIndex = [...broadcasts].toSorted(([a], [b]) => a - b);
  return concatBytes(...byIndex.map(([, payload]) => payload));
}

function payloadOf(payloads: ByIndex, index: number): Uint8Array {
  const payload = payloads.get(index);
  if (payload === undefined) throw new Error(`nothing from party ${index}`);
  return payload;
}
