import { connect, constants, type ClientHttp2Stream, type IncomingHttpHeaders } from "node:http2";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { frameOf, FrameReader } from "./grpc-frames.ts";

/** A server stream as its caller holds it. */
export interface OpenStream {
  /** Resolves when the headers have come: from then on the stream misses nothing. */
  readonly opened: Promise<void>;
  /** Resolves when the stream has ended, with what the server said against it, if anything. */
  readonly ended: Promise<ConnectError | undefined>;
  /** Reads no further: the windows of flow control fill, and the server can send no more. */
  stall(): void;
  cancel(): void;
}

/**
 * A gRPC client that does just enough: connect-node costs the machine about as much as the router that is to be measured
 * (both are built on it), and leaves no way to stop reading. One HTTP/2 connection.
 */
export interface GrpcChannel extends AsyncDisposable {
  /** Calls that were made again because the router had no broker at hand; a disk that others use does that. */
  readonly retriedCount: number;
  /** A call that ends `unavailable` is made again: a message may then be stored twice. */
  call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O>>;
  open<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    onMessage: (message: MessageShape<O>) => void,
  ): OpenStream;
}

const maxTries = 10;
const retryPauseMs = 200;

/** `headers`: sent with every call. */
export async function openChannel(
  url: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<GrpcChannel> {
  const session = connect(url);
  // An error of the connection is one of every stream on it, which is where it is told.
  session.on("error", () => undefined);
  await once(session, "connect");
  const send = (path: string, body: Uint8Array): ClientHttp2Stream => {
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    stream.end(frameOf(body));
    return stream;
  };
  const tryOnce = async (path: string, body: Uint8Array): Promise<Buffer> => {
    const stream = send(path, body);
    let answer: Buffer | undefined;
    const frames = new FrameReader();
    stream.on("data", (chunk: Buffer) => (answer = frames.push(chunk)[0] ?? answer));
    const refusal = await outcomeOf(stream);
    if (refusal !== undefined) throw refusal;
    if (answer === undefined) throw new ConnectError("no answer", Code.Unknown);
    return answer;
  };
  let retriedCount = 0;
  return {
    get retriedCount() {
      return retriedCount;
    },
    async call(method, request) {
      const body = toBinary(method.input, create(method.input, request));
      for (let tries = 1; ; tries += 1) {
        try {
          return fromBinary(method.output, await tryOnce(pathOf(method), body));
        } catch (error) {
          if (tries === maxTries || ConnectError.from(error).code !== Code.Unavailable) throw error;
          retriedCount += 1;
          await delay(retryPauseMs);
        }
      }
    },
    open(method, request, onMessage) {
      const stream = send(pathOf(method), toBinary(method.input, create(method.input, request)));
      const frames = new FrameReader();
      stream.on("data", (chunk: Buffer) => {
        for (const body of frames.push(chunk)) onMessage(fromBinary(method.output, body));
      });
      const ended = outcomeOf(stream);
      return {
        opened: openingOf(stream, ended),
        ended,
        stall: () => void stream.pause(),
        cancel: () => stream.close(constants.NGHTTP2_CANCEL),
      };
    },
    async [Symbol.asyncDispose]() {
      if (session.destroyed) return;
      session.destroy();
      await once(session, "close");
    },
  };
}

function pathOf(method: { readonly parent: { readonly typeName: string }; readonly name: string }) {
  return `/${method.parent.typeName}/${method.name}`;
}

/** Resolves when the stream has closed: `undefined` for the status OK, else what went wrong. */
function outcomeOf(stream: ClientHttp2Stream): Promise<ConnectError | undefined> {
  let told: ConnectError | undefined = new ConnectError("cut off", Code.Unavailable);
  const read = (headers: IncomingHttpHeaders): void => {
    const status = headers["grpc-status"];
    if (status === undefined) return;
    const text = decodeURIComponent(String(headers["grpc-message"] ?? ""));
    told = status === "0" ? undefined : new ConnectError(text, Number(status));
  };
  stream.on("response", read);
  stream.on("trailers", read);
  stream.on("error", () => undefined);
  return new Promise((resolve) => void stream.once("close", () => resolve(told)));
}

async function openingOf(
  stream: ClientHttp2Stream,
  ended: Promise<ConnectError | undefined>,
): Promise<void> {
  const isOpen = new Promise<true>((resolve) => void stream.once("response", () => resolve(true)));
  const first = await Promise.race([isOpen, ended]);
  if (first !== true) throw first ?? new ConnectError("ended before it began", Code.Unknown);
}
