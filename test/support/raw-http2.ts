import { connect, type Socket } from "node:net";

export const frameTypes = {
  data: 0,
  headers: 1,
  priority: 2,
  resetStream: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const flags = { ack: 1, endStream: 1, endHeaders: 4 } as const;

export interface Frame {
  readonly type: number;
  readonly flags?: number;
  readonly streamId?: number;
  readonly payload?: Uint8Array;
}

/** A frame as it is on the wire (RFC 9113, section 4.1). */
export function encodeFrame(frame: Frame): Buffer {
  const payload = frame.payload ?? Buffer.alloc(0);
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(frame.type, 3);
  head.writeUInt8(frame.flags ?? 0, 4);
  head.writeUInt32BE(frame.streamId ?? 0, 5);
  return Buffer.concat([head, payload]);
}

/** A header block of literals that no table keeps and nothing compresses (RFC 7541, section 6.2.2). */
export function headerBlock(fields: readonly (readonly [string, string | Buffer])[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]),
  );
}

/** The headers of a POST that has no body yet. */
export function postHeaders(path: string, contentType: string): [string, string][] {
  return [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "localhost"],
    ["content-type", contentType],
    ["te", "trailers"],
  ];
}

/** Places of the table that every connection begins with (RFC 7541, appendix A). */
const indexedStatuses = new Map([
  [8, 200],
  [9, 204],
  [10, 206],
  [11, 304],
  [12, 400],
  [13, 404],
  [14, 500],
]);

/** The status that a server's header block begins with, where it is the first of the connection. */
export function statusIn(block: Buffer): number {
  const [first = 0, length = 0] = block;
  if (first >= 0x80) return indexedStatuses.get(first - 0x80) ?? Number.NaN;
  return length === 3 ? Number(block.toString("latin1", 2, 5)) : Number.NaN;
}

function literal(text: string | Buffer): Buffer {
  const bytes = Buffer.from(text as string, "latin1");
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const size = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) size.push((rest % 128) + 128);
  return Buffer.concat([Buffer.from([...size, rest]), bytes]);
}

/** Speaks HTTP/2 frame by frame, and does nothing by itself: it answers no PING and opens no window. */
export class RawHttp2Client {
  readonly socket: Socket;
  /** Told of each frame that comes. */
  onFrame: (frame: Required<Frame>) => void = () => undefined;
  #received: Buffer = Buffer.alloc(0);

  constructor(port: number, preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") {
    this.socket = connect(port, "127.0.0.1");
    this.socket.on("error", () => undefined);
    this.socket.on("data", (chunk: Buffer) => this.#read(chunk));
    this.socket.write(preface);
    void this.send({ type: frameTypes.settings });
  }

  /** Resolves when the system has taken the frames: as fast as the server reads them, and no faster. */
  send(...frames: readonly Frame[]): Promise<void> {
    return this.write(Buffer.concat(frames.map(encodeFrame)));
  }

  write(bytes: Buffer): Promise<void> {
    return new Promise((resolve) => {
      if (this.socket.destroyed) resolve();
      else {
        const done = (): void => {
          this.socket.off("close", done);
          resolve();
        };
        this.socket.once("close", done);
        this.socket.write(bytes, done);
      }
    });
  }

  #read(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= 9) {
      const end = 9 + this.#received.readUIntBE(0, 3);
      if (this.#received.length < end) return;
      this.onFrame({
        type: this.#received.readUInt8(3),
        flags: this.#received.readUInt8(4),
        streamId: this.#received.readUInt32BE(5),
        payload: this.#received.subarray(9, end),
      });
      this.#received = this.#received.subarray(end);
    }
  }
}
