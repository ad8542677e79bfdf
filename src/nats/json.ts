/**
 * Stored records as JSON. Bytes are written as `{"$bytes": "<base64>"}`; everything else is plain JSON. Only what this
 * router wrote is read, so a record is trusted to have its type.
 */
export function encodeRecord(record: object): Uint8Array {
  return Buffer.from(JSON.stringify(record, replaceBytes));
}

export function decodeRecord<T>(data: Uint8Array): T {
  const text = Buffer.from(data).toString("utf8");
  const parsed: unknown = JSON.parse(text);
  return (text.includes('"$bytes"') ? withBytes(parsed) : parsed) as T;
}

function replaceBytes(this: unknown, key: string, value: unknown): unknown {
  // A Buffer has become its toJSON form by now; the original is still at its place in the holder.
  const original = (this as Record<string, unknown>)[key];
  return original instanceof Uint8Array
    ? { $bytes: Buffer.from(original).toString("base64") }
    : value;
}

/** Puts bytes in their places. A function given to JSON.parse would do so too, in five times the time. */
function withBytes(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if ("$bytes" in value) return new Uint8Array(Buffer.from(String(value.$bytes), "base64"));
  const holder = value as Record<string, unknown>;
  for (const key of Object.keys(holder)) {
    const held = holder[key];
    if (typeof held === "object") holder[key] = withBytes(held);
  }
  return value;
}
