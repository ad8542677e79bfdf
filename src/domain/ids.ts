import { RouterError } from "./errors.ts";

const ID = /^[A-Za-z0-9_-]{1,128}$/;

/** An id is a NATS token as it stands: no dot, no wildcard, no space. */
export function isId(value: string): boolean {
  return ID.test(value);
}

/** Returns the id, or refuses it naming the field: 1 to 128 of `A-Z a-z 0-9 _ -`. */
export function requireId(field: string, value: string): string {
  if (!isId(value)) {
    throw new RouterError("INVALID_ID", `${field} must be 1 to 128 characters of A-Z a-z 0-9 _ -`);
  }
  return value;
}

/** Refuses a text of more than `maxBytes` bytes of UTF-8. */
export function requireText(field: string, value: string, maxBytes: number): string {
  // A UTF-16 unit takes at most three bytes, so short texts need no count.
  if (value.length * 3 > maxBytes && Buffer.byteLength(value, "utf8") > maxBytes) {
    throw new RouterError("INVALID_FIELD", `${field} must be at most ${maxBytes} bytes`);
  }
  return value;
}

/** Refuses bytes outside `minBytes` to `maxBytes`. */
export function requireBytes(
  field: string,
  value: Uint8Array,
  range: { readonly minBytes: number; readonly maxBytes: number },
): Uint8Array {
  if (value.length < range.minBytes || value.length > range.maxBytes) {
    throw new RouterError(
      "INVALID_FIELD",
      `${field} must be ${range.minBytes} to ${range.maxBytes} bytes`,
    );
  }
  return value;
}

/** Refuses a number outside `min` to `max`, both allowed, or one that is no whole number. */
export function requireWhole(
  field: string,
  value: number,
  range: { readonly min: number; readonly max: number },
): number {
  if (!Number.isSafeInteger(value) || value < range.min || value > range.max) {
    throw new RouterError("INVALID_FIELD", `${field} must be ${range.min} to ${range.max}`);
  }
  return value;
}

/** Lengths the contract leaves open, in bytes unless the name says otherwise. */
export const limits = {
  messageTypeBytes: 256,
  versionBytes: 256,
  deviceFieldBytes: 256,
  errorMessageBytes: 1_024,
  reasonBytes: 1_024,
  joinTokenBytes: 4_096,
  encryptedShareBytes: 65_536,
  messageHashBytes: { minBytes: 32, maxBytes: 64 },
  resultBytes: { minBytes: 1, maxBytes: 1_024 },
  partiesPerSession: { min: 2, max: 100 },
  /** One second to seven days. */
  sessionTtlMs: { min: 1_000, max: 604_800_000 },
  idempotencyKeyCharacters: 128,
} as const;
