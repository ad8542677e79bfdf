import { bytesToHex } from "@noble/curves/utils.js";
import { pointBytes, scalarBytes, split } from "../../../examples/frost/frost-wire.ts";
import type { PartySession, ReceivedMessage } from "../../../src/party/index.ts";
import type { Field } from "./party-messages.ts";

const proofBytes = 64;

/** A share of a key, and the hash of the commitments that its sender saw. */
export const shareLengths: readonly [number, number] = [scalarBytes, 32];

/** What a recipient reads in an opened message. */
export function describeContent(
  message: Pick<ReceivedMessage, "type" | "payload">,
  session: Pick<PartySession, "thresholdT" | "partyIndex">,
): readonly Field[] {
  try {
    return fieldsOf(message, session);
  } catch {
    // The protocol refuses it; here it is only shown.
    return [{ label: "No known content", hex: bytesToHex(message.payload) }];
  }
}

function fieldsOf(
  { type, payload }: Pick<ReceivedMessage, "type" | "payload">,
  { thresholdT, partyIndex }: Pick<PartySession, "thresholdT" | "partyIndex">,
): readonly Field[] {
  if (type === "frost/dkg1") {
    const points = Array<number>(thresholdT).fill(pointBytes);
    const pieces = split(payload, [scalarBytes, ...points, proofBytes]);
    return pieces.map((piece, i) => ({ label: dkg1Label(i, thresholdT), hex: bytesToHex(piece) }));
  }
  if (type === "frost/dkg2") {
    const [share, transcript] = split(payload, shareLengths);
    return [
      {
        label: `The sender's polynomial at ${partyIndex + 1}`,
        hex: hexOf(share),
        isSecret: true,
      },
      { label: "Hash of all commitments the sender saw", hex: hexOf(transcript) },
    ];
  }
  if (type === "frost/commit") {
    const labels = ["Signer", "Commitment to the hiding nonce", "Commitment to the binding nonce"];
    const pieces = split(payload, [scalarBytes, pointBytes, pointBytes]);
    return pieces.map((piece, i) => ({ label: labels[i] ?? "", hex: bytesToHex(piece) }));
  }
  return [{ label: "The sender's part of the signature", hex: bytesToHex(payload) }];
}

function dkg1Label(index: number, thresholdT: number): string {
  if (index === 0) return "Participant";
  if (index === 1) return "Commitment to its secret: its part of the public key";
  if (index <= thresholdT) return `Commitment to coefficient ${index - 1}`;
  return "Proof that it knows its secret";
}

function hexOf(bytes: Uint8Array | undefined): string {
  return bytesToHex(bytes ?? new Uint8Array());
}
