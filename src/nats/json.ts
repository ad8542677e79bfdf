/**
 * Stored records as JSON. Bytes are written as `{"$bytes": "<base64>"}`; everything else is plain JSON. Only what this
 * router wrote is read, so a record is trusted to have its type.
 */
export function encodeRecord(record: object): Uint8Array {
  return Buffer.from(JSON.stringify(record, replaceBytes));
}

export function decodeRecord<T>(data: Uint8Array): T {
  return JSON.parse(Buffer.from(data).toString("utf8"), reviveBytes) as T;
}

function replaceBytes(this: unknown, key: string, value: unknown): unknown {
  // A Buffer has become its toJSON form by now; the original is still at its place in the holder.
  const original = (this as Record<string, unknown>)[key];
  return original instanceof Uint8Array
    ? { $bytes: Buffer.from(original).toString("base64") }
    : value;
}

function reviveBytes(_key: string, value: unknown): unknown {
  if (typeof value === "object" && value !== null && "$bytes" in value) {
    return new Uint8Array(Buffer.from(String(value.$bytes), "base64"));
  }
  return value;
}
