import { ed25519_FROST as frost } from "@noble/curves/ed25519.js";
import { decodeCommitments, encodeCommitments, identifierOf } from "./frost-wire.ts";
import { groupKeyOf, type ByIndex, type KeyShare } from "./key-generation.ts";

/** Round 1: commitments to nonces that are used once, for everybody. */
export interface NonceRound {
  readonly broadcast: Uint8Array;
  /** Takes the commitments of all other signers. The nonces are used up by this. */
  next(broadcasts: ByIndex): ShareRound;
}

/** Round 2: this party's share of the signature, for everybody. */
interface ShareRound {
  readonly broadcast: Uint8Array;
  /** Takes the shares of all other signers; rejects one that does not verify, naming its sender's index. */
  finish(shares: ByIndex): Uint8Array;
}

/** Signing as one party does it. Who calls carries the messages. */
export function beginSigning(
  partyIndex: number,
  key: KeyShare,
  messageHash: Uint8Array,
): NonceRound {
  const own = frost.commit(key.secret);
  return {
    broadcast: encodeCommitments(own.commitments),
    next(broadcasts) {
      const others = [...broadcasts].map(([index, payload]) =>
        decodeCommitments(payload, identifierOf(index)),
      );
      const all = [own.commitments, ...others];
      // A nonce that signs twice gives the key away: the call destroys it.
      const share = frost.signShare(key.secret, key.public, own.nonces, all, messageHash);
      return {
        broadcast: share,
        finish(received) {
          const shares: Record<string, Uint8Array> = { [identifierOf(partyIndex)]: share };
          for (const [index, payload] of received) {
            const sender = identifierOf(index);
            if (!frost.verifyShare(key.public, all, messageHash, sender, payload)) {
              throw new Error(`the signature share of party ${index} does not verify`);
            }
            shares[sender] = payload;
          }
          const signature = frost.aggregate(key.public, all, messageHash, shares);
          if (!frost.verify(signature, messageHash, groupKeyOf(key))) {
            throw new Error("the signature does not verify");
          }
          return signature;
        },
      };
    },
  };
}
