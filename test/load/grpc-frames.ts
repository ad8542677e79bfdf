/** One message as it goes over a gRPC stream: uncompressed, behind its length. */
export function frameOf(body: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(prefixBytes + body.length);
  frame[0] = 0;
  frame.writeUInt32BE(body.length, 1);
  frame.set(body, prefixBytes);
  return frame;
}

/** Cuts what arrives into messages. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #bytes = 0;

  /** The bodies that are complete with this chunk. */
  push(chunk: Buffer): readonly Buffer[] {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    const bodies: Buffer[] = [];
    for (let size = this.#nextSize(); size !== undefined; size = this.#nextSize()) {
      bodies.push(this.#take(size).subarray(prefixBytes));
    }
    return bodies;
  }

  /** Of the first message with its prefix; `undefined` while it is not complete. */
  #nextSize(): number | undefined {
    if (this.#bytes < prefixBytes) return undefined;
    if ((this.#chunks[0]?.length ?? 0) < prefixBytes) this.#join();
    const size = prefixBytes + (this.#chunks[0]?.readUInt32BE(1) ?? 0);
    return this.#bytes < size ? undefined : size;
  }

  #take(size: number): Buffer {
    if ((this.#chunks[0]?.length ?? 0) < size) this.#join();
    const [first = Buffer.alloc(0), ...rest] = this.#chunks;
    this.#chunks = first.length === size ? rest : [first.subarray(size), ...rest];
    this.#bytes -= size;
    return first.subarray(0, size);
  }

  #join(): void {
    this.#chunks = [Buffer.concat(this.#chunks)];
  }
}

const prefixBytes = 5;
