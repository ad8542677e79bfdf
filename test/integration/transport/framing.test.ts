import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, it } from "node:test";
import {
  flags,
  type Frame,
  frameTypes,
  headerBlock,
  postHeaders,
  RawHttp2Client,
  statusIn,
} from "../../support/raw-http2.ts";
import { callHttp1, callHttp2, envelope, startApp, type TestApp } from "./test-app.ts";

const service = "/mpc.router.v1.MessageRouter";
const heartbeat = `${service}/Heartbeat`;

type Fields = readonly (readonly [string, string | Buffer])[];

describe("an envelope that lies", () => {
  const cases: readonly [string, Buffer, RegExp][] = [
    ["is longer than what comes", lie(10, "abc"), /INVALID_FIELD|invalid_argument/],
    ["is shorter than what comes", lie(1, "abcd"), /INVALID_FIELD|invalid_argument/],
    ["says 2 GiB", lie(0x7fff_ffff, "abc"), /PAYLOAD_TOO_LARGE/],
    ["says 4 GiB", lie(0xffff_ffff, "abc"), /PAYLOAD_TOO_LARGE/],
    ["is not there", Buffer.alloc(0), /UNIMPLEMENTED/],
    ["is there twice", Buffer.concat([envelope(""), envelope("")]), /UNIMPLEMENTED/],
    ["has a field with bad UTF-8", envelope(Buffer.from([0x0a, 2, 0xff, 0xfe])), /INVALID_FIELD/],
    ["has a group in a group, 2,000 deep", envelope(Buffer.alloc(2_000, 0x7b)), /INVALID_FIELD/],
  ];
  for (const [what, body, expected] of cases) {
    it(`is refused in the caller's protocol: ${what}`, async () => {
      await using app = await startApp();
      for (const [contentType, method] of [
        ["application/grpc", "Heartbeat"],
        ["application/grpc", "SubscribeMessages"],
        ["application/grpc-web+proto", "Heartbeat"],
        ["application/connect+proto", "SubscribeMessages"],
      ] as const) {
        const path = `${service}/${method}`;
        const answer = await callHttp2(app, {
          path,
          headers: { "content-type": contentType },
          body,
        });
        assert.equal(answer.status, 200);
        assert.match(
          `${answer.headers["grpc-message"] ?? ""} ${answer.body.toString()}`,
          expected,
          `${contentType} ${method}`,
        );
      }
    });
  }

  it("may have bits set that mean nothing", async () => {
    await using app = await startApp();
    for (const bits of [0x40, 0x20, 0x04]) {
      const answer = await callHttp2(app, {
        path: heartbeat,
        headers: { "content-type": "application/grpc" },
        body: envelope("", bits),
      });
      assert.match(answer.headers["grpc-status"] ?? "", /^(0|3|12)$/);
    }
  });
});

describe("a body", () => {
  for (const [what, body, statuses] of [
    ["of arrays, 200,000 deep", deep("[", "]"), [400]],
    ["of arrays that do not end, 200,000 deep", deep("[", ""), [400]],
    ["of unknown objects, 200,000 deep", `${deep('{"a":', "")}1${"}".repeat(200_000)}`, [200, 400]],
    ["with an unknown field, 200,000 deep", `{"unknown":${deep("[", "]")}}`, [200, 400]],
    ["with unknown fields", '{"unknown":1,"other":{"a":[]}}', [200]],
    ["with the names of prototypes", '{"__proto__":{"partyId":"x"},"constructor":1}', [200, 400]],
    ["with a field twice", '{"partyId":"a","partyId":"b","party_id":"c"}', [200, 400]],
    ["with half a surrogate", String.raw`{"partyId":"\ud800"}`, [400]],
    ["with a number of 100,000 digits", `{"partyId":${"9".repeat(100_000)}}`, [400]],
    ["with bad UTF-8", Buffer.from('{"partyId":"\xff\xfe"}', "latin1"), [200, 400]],
    ["that is null", "null", [400]],
    ["that is empty", "", [200, 400]],
  ] as const) {
    it(`of JSON is answered: one ${what}`, async () => {
      await using app = await startApp();
      const answer = await callHttp1(app, {
        path: heartbeat,
        headers: { "content-type": "application/json" },
        body,
      });
      assert((statuses as readonly number[]).includes(answer.status), String(answer.status));
      assert(answer.body.length < 1_000);
    });
  }

  it("of grpc-web-text is told what is spoken here", async () => {
    await using app = await startApp();
    for (const call of [callHttp1, callHttp2]) {
      const answer = await call(app, {
        path: heartbeat,
        headers: { "content-type": "application/grpc-web-text" },
        body: envelope("").toString("base64"),
      });
      assert.equal(answer.status, 415);
      assert.match(answer.body.toString(), /gRPC-Web/);
    }
  });
});

describe("an HTTP/2 request", () => {
  const withField = (name: string, value: string | Buffer): Fields => [
    ...post(heartbeat),
    [name, value],
  ];
  const changed = (name: string, value: string): Fields =>
    post(heartbeat).map((field) => (field[0] === name ? [name, value] : field));

  const answered: readonly (readonly [string, Fields, readonly number[]])[] = [
    ...["//", "/%", "/%zz", "/%c3%28", `${heartbeat}%zz`].map(
      (path) => [`for ${path}`, post(path), [400]] as const,
    ),
    ...[
      "/..",
      "/__proto__",
      `${service}/constructor`,
      `${heartbeat}%00`,
      `/${"a".repeat(9_000)}`,
    ].map((path) => [`for ${path.slice(0, 40)}`, post(path), [404]] as const),
    [`for ${heartbeat}?a=%zz`, post(`${heartbeat}?a=%zz`), [200, 400]],
    ["with bytes that are no text in a header", withField("x-a", latin("\xff\xfe")), [200]],
    [
      "with bytes that are no text in its content type",
      [...post(heartbeat).slice(0, 4), ["content-type", latin("\xff\xfe")]],
      [400, 415],
    ],
    ["with a deadline that is no text", withField("connect-timeout-ms", latin("\xff")), [400]],
    [
      "with two deadlines",
      [...withField("connect-timeout-ms", "1000"), ["connect-timeout-ms", "2"]],
      [400],
    ],
    ["with two content types", withField("content-type", "application/grpc"), [200, 400, 415]],
    ["with binary metadata that is not base64", withField("x-a-bin", "!!!"), [200, 400]],
    ["with a broken authority", changed(":authority", "[x"), [400]],
    ["with the method TRACE", changed(":method", "TRACE"), [404, 405]],
    ["with the method HEAD", changed(":method", "HEAD"), [405]],
    ["with an unknown method", changed(":method", "FOO"), [400, 404, 405]],
    [
      "to connect somewhere",
      [
        [":method", "CONNECT"],
        [":authority", "localhost:1"],
      ],
      [405],
    ],
  ];
  for (const [what, fields, statuses] of answered) {
    it(`is answered: one ${what}`, async () => {
      await using app = await startApp();
      const end = await request(app, fields);
      assert(end.kind === "answered" && statuses.includes(end.status), JSON.stringify(end));
    });
  }

  const refused: readonly [string, Fields][] = [
    ["with a header in upper case", withField("X-A", "b")],
    ["with a header of HTTP/1.1", withField("transfer-encoding", "chunked")],
    ["that names its connection", withField("connection", "close")],
    ["with two paths", [[":path", "/x"], ...post(heartbeat)]],
    ["without a path", post(heartbeat).filter(([name]) => name !== ":path")],
    ["with a path that is none", post("x")],
    ["with an unknown pseudo-header", [[":x", "y"], ...post(heartbeat)]],
    ["with a method that is no word", changed(":method", "FO O")],
    ["with a negative length", withField("content-length", "-1")],
    ["with two lengths", [...withField("content-length", "2"), ["content-length", "3"]]],
    ["that is longer than it says", withField("content-length", "1")],
    ["that is shorter than it says", withField("content-length", "100")],
    [
      "with 200 headers",
      [...post(heartbeat), ...Array.from({ length: 200 }, (_, at) => [`x-${at}`, "b"] as const)],
    ],
    ["with headers of 100 KB", [...post(heartbeat), ["x-a", "b".repeat(100_000)]]],
  ];
  for (const [what, fields] of refused) {
    it(`is reset, being none: one ${what}`, async () => {
      await using app = await startApp();
      const end = await request(app, fields);
      assert.notEqual(end.kind, "answered");
      await assertServes(app);
      assert.equal(app.seen.calls, 1);
    });
  }

  const { headers, settings, ping, windowUpdate, continuation, data } = frameTypes;
  const overflow = { type: windowUpdate, payload: latin("\x7f\xff\xff\xff") };
  const breaches: readonly (readonly [string, ...Frame[]])[] = [
    ["data for a stream that is not open", { type: data, streamId: 5, payload: latin("x") }],
    [
      "a header block that is none",
      { type: headers, streamId: 1, flags: flags.endHeaders, payload: latin("\xff\xff\xff\xff") },
    ],
    ["a stream of the server's", { type: headers, streamId: 2, flags: flags.endHeaders }],
    ["a frame of 17,000 bytes", { type: headers, streamId: 1, payload: Buffer.alloc(17_000) }],
    ["settings of seven bytes", { type: settings, payload: latin("1234567") }],
    ["a ping of seven bytes", { type: ping, payload: latin("1234567") }],
    ["a window that overflows", overflow, overflow],
    ["a window update of nothing", { type: windowUpdate, payload: Buffer.alloc(4) }],
    ["a continuation of nothing", { type: continuation, streamId: 1, payload: latin("x") }],
  ];
  for (const [what, ...frames] of breaches) {
    it(`ends its connection alone when it sends ${what}`, async () => {
      await using app = await startApp();
      const client = new RawHttp2Client(app.port);
      const closed = once(client.socket, "close");
      await client.send(...frames);
      await closed;
      await assertServes(app);
    });
  }
});

describe("an HTTP/1.1 request", () => {
  const head = `POST ${heartbeat} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`;
  const smuggled = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
  for (const [what, text] of [
    [
      "a length and chunks",
      `Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
    ],
    [
      "chunks and a length",
      `Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n${smuggled}`,
    ],
    ["two lengths", `Content-Length: 2\r\nContent-Length: 44\r\n\r\n{}${smuggled}`],
    ["a list of lengths", `Content-Length: 2, 2\r\n\r\n{}${smuggled}`],
    ["a negative length", "Content-Length: -2\r\n\r\n{}"],
    ["a length with a sign", "Content-Length: +2\r\n\r\n{}"],
    ["a length beyond all numbers", "Content-Length: 99999999999999999999\r\n\r\n{}"],
    ["an unknown transfer encoding", "Transfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"],
    ["chunks that are not last", "Transfer-Encoding: chunked, gzip\r\n\r\n{}"],
    ["a space before a colon", "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"],
    ["a folded header", "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"],
    ["a chunk whose size is none", "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"],
    ["a chunk beyond all numbers", "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}"],
    [
      "a chunk with 20 KB beside its size",
      `Transfer-Encoding: chunked\r\n\r\n2;${"a".repeat(20_000)}\r\n{}`,
    ],
    [
      "trailers of 30 KB",
      `Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: ${"a".repeat(30_000)}\r\n\r\n`,
    ],
    ["3,000 headers", `${Array.from({ length: 3_000 }, (_, at) => `x${at}: b\r\n`).join("")}\r\n`],
    ["a zero byte in a header", "X: a\0b\r\nContent-Length: 2\r\n\r\n{}"],
    [
      "an expectation nobody has",
      "Expect: more\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
    ],
  ] as const) {
    it(`is refused, and nothing is read out of it: one with ${what}`, async () => {
      await using app = await startApp();
      const answer = await raw(app, head + text);
      assert.match(answer, /^HTTP\/1\.1 4\d\d /);
      assert.equal(answer.match(/HTTP\/1\.1 /g)?.length, 1);
      assert.equal(app.seen.calls, 0);
    });
  }

  it("may ask for another protocol, and is served in this one", async () => {
    await using app = await startApp();
    const upgrade =
      "Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    const answer = await raw(app, `${head}${upgrade}Content-Length: 2\r\n\r\n{}`);
    assert.match(answer, /^HTTP\/1\.1 200 /);
  });

  it("may come a hundred times at once, and is answered as often", async () => {
    await using app = await startApp();
    const all = `${head}Content-Length: 2\r\n\r\n{}`.repeat(100);
    const answer = await raw(app, `${all}${head}Content-Length: 2\r\nConnection: close\r\n\r\n{}`);
    assert.equal(answer.match(/HTTP\/1\.1 200 /g)?.length, 101);
  });
});

/** A message under a length that is not its own. */
function lie(length: number, message: string): Buffer {
  const body = envelope(message);
  body.writeUInt32BE(length, 1);
  return body;
}

function deep(open: string, close: string): string {
  return open.repeat(200_000) + close.repeat(200_000);
}

function post(path: string): Fields {
  return [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "localhost"],
    ["content-type", "application/json"],
  ];
}

function latin(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

type End =
  { readonly kind: "answered"; readonly status: number } | { readonly kind: "reset" | "closed" };

/** How the request ends, sent with the body `{}` on a connection of its own. */
async function request(app: TestApp, fields: Fields): Promise<End> {
  const client = new RawHttp2Client(app.port);
  const { promise, resolve } = Promise.withResolvers<End>();
  let status = Number.NaN;
  client.onFrame = ({ type, flags: bits, payload }) => {
    if (type === frameTypes.resetStream) resolve({ kind: "reset" });
    if (type === frameTypes.headers && Number.isNaN(status))
      status = statusIn(Buffer.from(payload));
    const isLast = type === frameTypes.headers || type === frameTypes.data;
    if (isLast && (bits & flags.endStream) !== 0) resolve({ kind: "answered", status });
  };
  client.socket.on("close", () => resolve({ kind: "closed" }));
  const headers = headerFrames(headerBlock(fields));
  const body = { type: frameTypes.data, flags: flags.endStream, payload: Buffer.from("{}") };
  await client.send(...[...headers, body].map((sent) => ({ ...sent, streamId: 1 })));
  const end = await promise;
  client.socket.destroy();
  return end;
}

/** As many frames as the block needs. */
function headerFrames(block: Buffer): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at < block.length; at += 16_000) {
    frames.push({
      type: at === 0 ? frameTypes.headers : frameTypes.continuation,
      flags: at + 16_000 >= block.length ? flags.endHeaders : 0,
      payload: block.subarray(at, at + 16_000),
    });
  }
  return frames;
}

async function assertServes(app: TestApp): Promise<void> {
  const end = await request(app, postHeaders(heartbeat, "application/json"));
  assert.deepEqual(end, { kind: "answered", status: 200 });
}

/** What comes back for these bytes until the server closes. */
async function raw(app: TestApp, start: string): Promise<string> {
  const socket = connect(app.port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write(Buffer.from(start, "latin1"));
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(socket, "close");
  return Buffer.concat(chunks).toString("latin1");
}
