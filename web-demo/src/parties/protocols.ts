import { beginKeygen, type KeyShare } from "../../../examples/frost/key-generation.ts";
import { beginSigning } from "../../../examples/frost/signing.ts";
import { split } from "../../../examples/frost/frost-wire.ts";
import { concatBytes } from "@noble/curves/utils.js";
import { shareLengths } from "./contents.ts";
import type { Table } from "./table.ts";

/** FROST's distributed key generation, at a table. */
export async function makeKey(table: Table): Promise<KeyShare> {
  const commitment = beginKeygen(table.session);
  await table.broadcast("keygen-1", commitment.broadcast);
  const round2 = commitment.next(await table.collect("keygen-1"));

  // A router could show parties different commitments: what a sender saw goes along with each of its shares.
  const seen = await sha256(round2.transcript);
  for (const [partyIndex, share] of round2.shares) {
    await table.send("keygen-2", partyIndex, concatBytes(share, seen));
  }
  const received = await table.collect("keygen-2");
  const shares = new Map<number, Uint8Array>();
  for (const [partyIndex, payload] of received) {
    const [share, seenByOther] = split(payload, shareLengths);
    if (share === undefined || !isSame(seenByOther, seen)) {
      throw new Error(`party ${partyIndex + 1} was shown other commitments`);
    }
    shares.set(partyIndex, share);
  }
  return round2.finish(shares);
}

/** FROST's signing, at a table. */
export async function signHash(
  table: Table,
  key: KeyShare,
  messageHash: Uint8Array,
): Promise<Uint8Array> {
  const nonces = beginSigning(table.session.partyIndex, key, messageHash);
  await table.broadcast("sign-1", nonces.broadcast);
  const own = nonces.next(await table.collect("sign-1"));
  await table.broadcast("sign-2", own.broadcast);
  return own.finish(await table.collect("sign-2"));
}

async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", Uint8Array.from(bytes)));
}

function isSame(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a?.length === b.length && a.every((byte, i) => byte === b[i]);
}
