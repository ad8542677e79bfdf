import { joined, numberBytes, textBytes, type ByteReader } from "./bytes.ts";

const sealVersion = 1;
const nonceBytes = 16;

/** Where a sealed message belongs. Signed, and bound to what it heads: it opens in no other place. */
export interface SealedHeader {
  readonly sessionId: string;
  readonly from: string;
  /** Every recipient; of a broadcast, everybody else in the session. */
  readonly to: readonly string[];
  readonly isBroadcast: boolean;
  readonly round: number;
  readonly type: string;
  /** Random: no two messages have the same. */
  readonly nonce: Uint8Array;
}

export function newNonce(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(nonceBytes));
}

export function encodeHeader(header: SealedHeader): Uint8Array {
  return joined(
    numberBytes(sealVersion, 1),
    numberBytes(header.isBroadcast ? 1 : 0, 1),
    numberBytes(header.round, 4),
    header.nonce,
    textBytes(header.sessionId),
    textBytes(header.from),
    textBytes(header.type),
    numberBytes(header.to.length, 2),
    ...header.to.map(textBytes),
  );
}

/** Throws where these bytes do not begin with a header of this version. */
export function decodeHeader(reader: ByteReader): SealedHeader {
  if (reader.number(1) !== sealVersion) throw new RangeError("another version");
  const kind = reader.number(1);
  if (kind > 1) throw new RangeError("neither a broadcast nor not");
  const round = reader.number(4);
  const nonce = reader.bytes(nonceBytes);
  const [sessionId, from, type] = [reader.text(), reader.text(), reader.text()];
  const to = Array.from({ length: reader.number(2) }, () => reader.text());
  return { sessionId, from, to, isBroadcast: kind === 1, round, type, nonce };
}
