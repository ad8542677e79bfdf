import { ed25519_FROST as frost } from "@noble/curves/ed25519.js";
import type { DKG_Round1, Identifier, NonceCommitments } from "@noble/curves/abstract/frost.js";
import { bytesToHex, concatBytes, hexToBytes } from "@noble/curves/utils.js";

/** Lengths of FROST(Ed25519, SHA-512), RFC 9591: every field has a fixed one, so that nothing marks their borders. */
export const scalarBytes = 32;
export const pointBytes = 32;
const signatureBytes = 64;

/** FROST numbers its participants from 1; the router its seats from 0. */
export function identifierOf(partyIndex: number): Identifier {
  return frost.Identifier.fromNumber(partyIndex + 1);
}

export function encodeRound1(round1: DKG_Round1): Uint8Array {
  return concatBytes(hexToBytes(round1.identifier), ...round1.commitment, round1.proofOfKnowledge);
}

/** Refuses a payload of another length, or of another participant than its sender. */
export function decodeRound1(bytes: Uint8Array, sender: Identifier, threshold: number): DKG_Round1 {
  const commitmentBytes = threshold * pointBytes;
  const fields = split(bytes, [scalarBytes, commitmentBytes, signatureBytes]);
  const [identifier, commitment, proofOfKnowledge] = fields;
  requireSender(identifier, sender);
  return {
    identifier: sender,
    commitment: split(commitment, Array<number>(threshold).fill(pointBytes)),
    proofOfKnowledge,
  };
}

export function encodeCommitments(commitments: NonceCommitments): Uint8Array {
  const { identifier, hiding, binding } = commitments;
  return concatBytes(hexToBytes(identifier), hiding, binding);
}

/** Refuses a payload of another length, or of another participant than its sender. */
export function decodeCommitments(bytes: Uint8Array, sender: Identifier): NonceCommitments {
  const [identifier, hiding, binding] = split(bytes, [scalarBytes, pointBytes, pointBytes]);
  requireSender(identifier, sender);
  return { identifier: sender, hiding, binding };
}

type Pieces<L extends readonly number[]> = { [K in keyof L]: Uint8Array<ArrayBuffer> };

/** Cuts bytes into fields of those lengths; refuses any other total. */
export function split<const L extends readonly number[]>(bytes: Uint8Array, lengths: L): Pieces<L> {
  const total = lengths.reduce((sum, length) => sum + length, 0);
  if (bytes.length !== total) {
    throw new Error(`a FROST payload has ${bytes.length} bytes instead of ${total}`);
  }
  let end = 0;
  return lengths.map((length) => {
    end += length;
    return Uint8Array.from(bytes.subarray(end - length, end));
  }) as Pieces<L>;
}

function requireSender(identifier: Uint8Array, sender: Identifier): void {
  if (bytesToHex(identifier) !== sender) {
    throw new Error("a FROST payload names another participant than its sender");
  }
}
