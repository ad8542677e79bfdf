import assert from "node:assert/strict";
import { once } from "node:events";
import * as http2 from "node:http2";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { until } from "../../support/until.ts";
import { callHttp1, callHttp2, callOn, envelope, startApp, type TestApp } from "./test-app.ts";

const service = "/mpc.router.v1.MessageRouter";
const MIB = 1_024 * 1_024;

/** Begins an HTTP/1.1 request of JSON. */
const head = `POST ${service}/Heartbeat HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n`;

/** 480 MiB of zeros, as 480 members of gzip in half a megabyte. */
function bomb(): Buffer {
  const member = gzipSync(Buffer.alloc(MIB));
  return Buffer.concat(Array.from({ length: 480 }, () => member));
}

describe("a request over the limit", () => {
  it("is refused without being unpacked", async () => {
    await using app = await startApp();
    const body = bomb();
    const peakBefore = process.resourceUsage().maxRSS;
    const json = await callHttp1(app, {
      path: `${service}/RouteMessage`,
      headers: { "content-type": "application/json", "content-encoding": "gzip" },
      body,
    });
    assertTooLarge(JSON.parse(json.body.toString()) as { code: string; message: string });
    const grpc = await callHttp2(app, {
      path: `${service}/RouteMessage`,
      headers: { "content-type": "application/grpc", "grpc-encoding": "gzip" },
      body: envelope(body, 1),
    });
    assert.equal(grpc.headers["grpc-status"], "8");
    const growthMib = (process.resourceUsage().maxRSS - peakBefore) / 1_024;
    assert(growthMib < 100, `took ${growthMib} MiB`);
  });

  for (const [what, request] of [
    ["of a known length", withLength(Buffer.alloc(4 * MIB, "x"))],
    ["in chunks", inChunks(Buffer.alloc(MIB, "x"), 4)],
  ] as const) {
    it(`leaves its HTTP/1.1 connection usable: ${what}`, async () => {
      await using app = await startApp();
      const socket = connect(app.port, "127.0.0.1");
      let received = "";
      socket.setEncoding("latin1");
      socket.on("data", (text) => (received += String(text)));
      for (let round = 1; round <= 2; round++) {
        socket.write(request);
        socket.write(withLength(Buffer.from("{}")));
        await until("both are answered", () => statuses(received).length === 2 * round);
      }
      assert.deepEqual(statuses(received), ["429", "200", "429", "200"]);
      assert.match(received, /"PAYLOAD_TOO_LARGE: the request is larger than this router accepts"/);
      socket.destroy();
    });
  }

  it("leaves its HTTP/2 connection usable", async () => {
    await using app = await startApp();
    const session = http2.connect(app.url);
    for (let round = 0; round < 8; round++) {
      const refused = await callOn(session, {
        path: `${service}/RouteMessage`,
        headers: { "content-type": "application/grpc" },
        body: envelope(Buffer.alloc(4 * MIB)),
      });
      assert.equal(refused.headers["grpc-status"], "8", `round ${round}`);
      assert.match(refused.headers["grpc-message"] ?? "", /^PAYLOAD_TOO_LARGE/);
    }
    const next = await callOn(session, {
      path: `${service}/Heartbeat`,
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    assert.equal(next.status, 200);
    session.close();
  });

  it("starts beyond the payload limit, in base64 too", async () => {
    await using app = await startApp({ maxPayloadBytes: 2 * MIB });
    const payload = Buffer.alloc(2 * MIB, 7).toString("base64");
    const answer = await callHttp1(app, {
      path: `${service}/RouteMessage`,
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ payload }),
    });
    assert.equal(
      (JSON.parse(answer.body.toString()) as { messageId: string }).messageId,
      "2097152",
    );
  });
});

describe("an HTTP/2 connection", () => {
  it("survives a client that cancels 1,200 streams at once", async () => {
    await using app = await startApp();
    const session = http2.connect(app.url);
    const streams = Array.from({ length: 1_200 }, () => {
      const stream = session.request({
        ":method": "POST",
        ":path": `${service}/SubscribeMessages`,
        "content-type": "application/grpc",
      });
      stream.on("error", () => undefined);
      stream.end(envelope("\x12\x01a"));
      return stream;
    });
    await until("all are open", () => app.seen.streams === streams.length, 60_000);
    for (const stream of streams) stream.close(http2.constants.NGHTTP2_CANCEL);
    await until("all have ended", () => app.seen.streams === 0, 60_000);
    const next = await callOn(session, {
      path: `${service}/Heartbeat`,
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    assert.equal(next.status, 200);
    session.close();
  });
});

describe("a deadline", () => {
  it("may be further away than a timer reaches", async () => {
    await using app = await startApp();
    const warnings: Error[] = [];
    const note = (warning: Error): number => warnings.push(warning);
    process.on("warning", note);
    const json = await callHttp1(app, {
      path: `${service}/Heartbeat`,
      headers: { "content-type": "application/json", "connect-timeout-ms": "9999999999" },
      body: "{}",
    });
    assert.equal(json.status, 200);
    for (const deadline of ["99999999H", "99999999M", "99999999S", "99999999m"]) {
      const grpc = await callHttp2(app, {
        path: `${service}/Heartbeat`,
        headers: { "content-type": "application/grpc", "grpc-timeout": deadline },
        body: envelope(""),
      });
      assert.equal(grpc.headers["grpc-status"], "0", deadline);
    }
    process.off("warning", note);
    assert.deepEqual(warnings, []);
  });
});

describe("a request that is no HTTP", () => {
  it("is refused without the answer repeating it", async () => {
    await using app = await startApp();
    for (const start of [
      "S3CRET\r\n\r\n",
      "GET /%zzS3CRET HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET //S3CRET:x HTTP/1.1\r\nHost: a\r\n\r\n",
      `POST ${service}/Heartbeat HTTP/1.1\r\nHost: [S3CRET\r\nContent-Length: 0\r\n\r\n`,
      `POST ${service}/Heartbeat HTTP/1.0\r\nContent-Length: 0\r\n\r\n`,
      `GET /livez HTTP/1.1\r\nHost: a\r\nX: ${"S3CRET".repeat(4_000)}\r\n\r\n`,
    ]) {
      const answer = await raw(app, start);
      assert.match(answer, /^HTTP\/1\.1 4\d\d /, start.slice(0, 60));
      assert(!answer.includes("S3CRET"), start.slice(0, 60));
    }
  });
});

function assertTooLarge(error: { code: string; message: string }): void {
  assert.equal(error.code, "resource_exhausted");
  assert.equal(error.message, "PAYLOAD_TOO_LARGE: the request is larger than this router accepts");
}

function withLength(body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${head}Content-Length: ${body.length}\r\n\r\n`), body]);
}

function inChunks(chunk: Buffer, count: number): Buffer {
  const size = Buffer.from(`${chunk.length.toString(16)}\r\n`);
  const chunks = Array.from({ length: count }, () => [size, chunk, Buffer.from("\r\n")]);
  return Buffer.concat([
    Buffer.from(`${head}Transfer-Encoding: chunked\r\n\r\n`),
    ...chunks.flat(),
    Buffer.from("0\r\n\r\n"),
  ]);
}

function statuses(received: string): string[] {
  return [...received.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status ?? "");
}

/** What comes back for these bytes until the server closes, or has sent an answer of one packet. */
async function raw(app: TestApp, start: string): Promise<string> {
  const socket = connect(app.port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.end(start);
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(socket, "close");
  return Buffer.concat(chunks).toString();
}
