import * as http from "node:http";
import * as http2 from "node:http2";
import { once } from "node:events";
import { Code } from "@connectrpc/connect";

export interface Wire extends Disposable {
  readonly name: "gRPC" | "gRPC-Web" | "Connect JSON";
  /** Sends a body as it is, framed where the protocol frames; resolves with what came back. */
  send(request: WireRequest): Promise<WireAnswer>;
}

interface WireRequest {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly isStream: boolean;
  readonly body: Uint8Array;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface WireAnswer {
  readonly httpStatus: number;
  /** What the answer says of its end; undefined where a stream was left while it was open. */
  readonly code: Code | undefined;
  readonly text: string;
  readonly tookMs: number;
  /** It was a stream that had not ended. */
  readonly isLeft: boolean;
}

/** A stream that has not ended after this many milliseconds is a stream that works, and is left. */
const streamPatienceMs = 60;
/** Any other answer that has not come by then has not come. */
const answerLimitMs = 10_000;

export function wiresTo(url: string): readonly Wire[] {
  return [grpcWire(url), overHttp1("gRPC-Web", url), overHttp1("Connect JSON", url)];
}

function framed(body: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

function grpcWire(url: string): Wire {
  const session = http2.connect(url);
  session.on("error", () => undefined);
  return {
    name: "gRPC",
    async send({ path, isStream, body, metadata }) {
      const startedAt = performance.now();
      const stream = session.request({
        ":method": "POST",
        ":path": path,
        "content-type": "application/grpc",
        te: "trailers",
        ...metadata,
      });
      stream.end(framed(body));
      const headers: Record<string, string> = {};
      const collect = (block: http2.IncomingHttpHeaders): void => {
        for (const [name, value] of Object.entries(block)) headers[name] = String(value);
      };
      stream
        .on("response", collect)
        .on("trailers", collect)
        .on("error", () => undefined);
      stream.resume();
      const left = leaveAfter(isStream, () => stream.close(http2.constants.NGHTTP2_CANCEL));
      await once(stream, "close");
      clearTimeout(left.timer);
      const status = headers["grpc-status"];
      return {
        httpStatus: Number(headers[":status"] ?? 0),
        code: status === undefined ? undefined : Number(status),
        text: headers["grpc-message"] ?? "",
        tookMs: performance.now() - startedAt,
        isLeft: left.isLeft(),
      };
    },
    [Symbol.dispose]: () => session.destroy(),
  };
}

/** `onLeft` is called when the answer has had its time. */
function leaveAfter(
  isStream: boolean,
  onLeft: () => void,
): { readonly timer: NodeJS.Timeout; isLeft(): boolean } {
  let left = false;
  const leave = (): void => {
    left = true;
    onLeft();
  };
  const timer = setTimeout(leave, isStream ? streamPatienceMs : answerLimitMs);
  return { timer, isLeft: () => left && isStream };
}

function overHttp1(name: "gRPC-Web" | "Connect JSON", url: string): Wire {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
  const isWeb = name === "gRPC-Web";
  const contentType = (isStream: boolean): string =>
    isWeb ? "application/grpc-web+proto" : `application/${isStream ? "connect+" : ""}json`;
  return {
    name,
    async send({ path, isStream, body, metadata }) {
      const startedAt = performance.now();
      const request = http.request(url + path, {
        method: "POST",
        agent,
        headers: { "content-type": contentType(isStream), ...metadata },
      });
      request.end(isWeb || isStream ? framed(body) : body);
      const left = leaveAfter(isStream, () => request.destroy());
      const { status, bytes, headers } = await answerTo(request);
      clearTimeout(left.timer);
      const text = bytes.toString("latin1");
      const code = isWeb
        ? webCode(text, headers)
        : connectCode(text, isStream ? "stream" : status === 200 ? "ok" : "error");
      return {
        httpStatus: status,
        code,
        text,
        tookMs: performance.now() - startedAt,
        isLeft: left.isLeft(),
      };
    },
    [Symbol.dispose]: () => agent.destroy(),
  };
}

/** What came until the end, also where that is a cut. */
function answerTo(request: http.ClientRequest): Promise<{
  readonly status: number;
  readonly bytes: Buffer;
  readonly headers: http.IncomingHttpHeaders;
}> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let response: http.IncomingMessage | undefined;
    const done = (): void =>
      resolve({
        status: response?.statusCode ?? 0,
        bytes: Buffer.concat(chunks),
        headers: response?.headers ?? {},
      });
    request.on("error", done);
    request.on("response", (came) => {
      response = came;
      came.on("data", (chunk: Buffer) => chunks.push(chunk));
      came.on("error", done).on("close", done);
    });
  });
}

function webCode(text: string, headers: http.IncomingHttpHeaders): Code | undefined {
  const status = /grpc-status: ?(\d+)/i.exec(text)?.[1] ?? headers["grpc-status"];
  return status === undefined ? undefined : Number(status);
}

function connectCode(text: string, kind: "ok" | "error" | "stream"): Code | undefined {
  if (kind === "ok") return undefined;
  const word = /"code":"([a-z_]+)"/.exec(text)?.[1];
  if (word === undefined) return undefined;
  const name = word.replaceAll(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return Code[name as keyof typeof Code];
}
