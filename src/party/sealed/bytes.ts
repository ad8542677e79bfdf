/** All of these, one after the other, in bytes of their own. */
export function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let end = 0;
  for (const part of parts) {
    whole.set(part, end);
    end += part.length;
  }
  return whole;
}

/** A buffer of its own that holds these bytes only; a view may look at part of a larger one. */
export function exact(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** A whole number in so many bytes, the highest first. */
export function numberBytes(value: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => value / 256 ** (length - 1 - index));
}

/** A text with its length before it, so that nothing marks its end. */
export function textBytes(text: string): Uint8Array {
  const bytes = utf8(text);
  if (bytes.length >= 2 ** 16) throw new RangeError("a text of a header is under 64 KiB");
  return joined(numberBytes(bytes.length, 2), bytes);
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export async function sha256(...parts: readonly Uint8Array[]): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", joined(...parts)));
}

export function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** Reads bytes from the first to the last; throws a RangeError where there are too few. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get position(): number {
    return this.#position;
  }

  get left(): number {
    return this.#bytes.length - this.#position;
  }

  bytes(length: number): Uint8Array {
    if (length > this.left) throw new RangeError("too few bytes");
    this.#position += length;
    return this.#bytes.subarray(this.#position - length, this.#position);
  }

  number(length: number): number {
    return this.bytes(length).reduce((value, byte) => value * 256 + byte, 0);
  }

  text(): string {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
      this.bytes(this.number(2)),
    );
  }
}
