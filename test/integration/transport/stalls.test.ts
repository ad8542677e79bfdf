import assert from "node:assert/strict";
import { once } from "node:events";
import * as http2 from "node:http2";
import { connect, type Socket } from "node:net";
import { describe, it } from "node:test";
import {
  flags,
  frameTypes,
  headerBlock,
  postHeaders,
  RawHttp2Client,
} from "../../support/raw-http2.ts";
import { until } from "../../support/until.ts";
import { envelope, startApp, type TestApp } from "./test-app.ts";

const service = "/mpc.router.v1.MessageRouter";

describe("a client that stalls", () => {
  it("is closed when it says nothing, or too little", async () => {
    await using app = await startApp({ timeouts: { firstBytesMs: 100 } });
    for (const start of ["", "P", "PRI * HTTP/2.0"]) {
      const socket = open(app, start);
      await once(socket, "close");
    }
  });

  it("is told so when its HTTP/1.1 request does not come in full", async () => {
    await using app = await startApp({ timeouts: { headersMs: 100, requestMs: 200 } });
    for (const start of [
      "POST /x HTTP/1.1\r\nHost: a\r\n",
      `POST ${service}/Heartbeat HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n` +
        "Content-Length: 100\r\n\r\n{",
    ]) {
      const socket = open(app, start);
      let answer = "";
      socket.on("data", (chunk) => (answer += String(chunk)));
      await once(socket, "close");
      assert.match(answer, /^HTTP\/1\.1 408/);
    }
  });

  it("is closed when it keeps an HTTP/1.1 connection without using it", async () => {
    await using app = await startApp({ timeouts: { keepAliveMs: 50 } });
    const socket = open(app, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").resume();
    await once(socket, "close");
  });

  it("loses the HTTP/2 stream whose request does not come in full, and no other", async () => {
    await using app = await startApp({ timeouts: { headersMs: 100, requestMs: 100 } });
    const session = http2.connect(app.url);
    const subscription = request(session, "SubscribeMessages", envelope("\x12\x01a"));
    await once(subscription, "response");
    const stalled = session.request({
      ":method": "POST",
      ":path": `${service}/Heartbeat`,
      "content-type": "application/grpc",
    });
    stalled.on("error", () => undefined);
    stalled.write(Buffer.alloc(3));
    await once(stalled, "close");
    assert.equal(stalled.rstCode, http2.constants.NGHTTP2_CANCEL);
    assert(!subscription.closed);
    assert.equal(app.seen.streams, 1);
    session.destroy();
  });

  it("is cut when it does not read its HTTP/1.1 answer", async () => {
    await using app = await startApp({ timeouts: { blockedWriteMs: 200 } });
    app.mailbox.messages = Array.from({ length: 100 }, () => ({ payload: Buffer.alloc(500_000) }));
    const body = envelope('{"partyId":"a"}');
    const socket = connect(app.port, "127.0.0.1").pause();
    socket.on("error", () => undefined);
    socket.write(
      `POST ${service}/SubscribeMessages HTTP/1.1\r\nHost: a\r\n` +
        `Content-Type: application/connect+json\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    socket.write(body);
    await until("the stream is open", () => app.seen.streams === 1);
    await until("the stream is cut", () => app.seen.streams === 0);
    socket.destroy();
  });

  it("loses the HTTP/2 stream whose answer it does not read", async () => {
    await using app = await startApp({ timeouts: { headersMs: 100, requestMs: 100 } });
    const client = new RawHttp2Client(app.port);
    const resets: number[] = [];
    client.onFrame = ({ type, streamId }) => {
      if (type === frameTypes.resetStream) resets.push(streamId);
    };
    // No stream may send anything.
    const noWindow = Buffer.from([0, 4, 0, 0, 0, 0]);
    const streamId = 1;
    const headers = headerBlock(postHeaders(`${service}/Heartbeat`, "application/json"));
    await client.send(
      { type: frameTypes.settings, payload: noWindow },
      { type: frameTypes.headers, flags: flags.endHeaders, streamId, payload: headers },
      { type: frameTypes.data, flags: flags.endStream, streamId, payload: Buffer.from("{}") },
    );
    await until("the stream is reset", () => resets.length === 1);
    assert.deepEqual(resets, [streamId]);
    assert(!client.socket.closed);
    client.socket.destroy();
  });

  it("is closed when the headers of its HTTP/2 request do not come in full", async () => {
    await using app = await startApp({ timeouts: { pingIntervalMs: 50 } });
    const client = new RawHttp2Client(app.port);
    const payload = headerBlock(postHeaders(`${service}/Heartbeat`, "application/json"));
    await client.send({ type: frameTypes.headers, streamId: 1, payload });
    await once(client.socket, "close");
  });

  it("keeps its HTTP/1.1 stream while nothing is due", async () => {
    await using app = await startApp({ timeouts: { blockedWriteMs: 50, pingIntervalMs: 100 } });
    const stop = new AbortController();
    const response = await fetch(`${app.url}${service}/SubscribeMessages`, {
      method: "POST",
      headers: { "content-type": "application/connect+json" },
      body: envelope('{"partyId":"a"}'),
      signal: stop.signal,
    });
    assert.equal(response.status, 200);
    // As a clock: another client's PINGs, over six times the limit.
    const session = http2.connect(app.url);
    let pings = 0;
    session.on("ping", () => (pings += 1));
    await until("time has passed", () => pings >= 3);
    assert.equal(app.seen.streams, 1);
    stop.abort();
    session.destroy();
  });
});

describe("an HTTP/2 connection", () => {
  it("proves at every PING that its client is alive", async () => {
    await using app = await startApp({ timeouts: { pingIntervalMs: 100 } });
    const session = http2.connect(app.url);
    request(session, "SubscribeMessages", envelope("\x12\x01a"));
    await until("three signs of life", () => app.seen.alive >= 3);
    session.destroy();
  });

  it("is closed when its client answers nothing and sends nothing", async () => {
    await using app = await startApp({ timeouts: { pingIntervalMs: 50 } });
    const client = new RawHttp2Client(app.port);
    let pings = 0;
    client.onFrame = ({ type }) => (pings += type === frameTypes.ping ? 1 : 0);
    await once(client.socket, "close");
    assert(pings >= 1);
  });

  it("is left open while its client sends, though the answers are queued behind", async () => {
    await using app = await startApp({ timeouts: { pingIntervalMs: 100 } });
    const client = new RawHttp2Client(app.port);
    let pings = 0;
    client.onFrame = ({ type, flags: bits }) => {
      if (type !== frameTypes.ping || (bits & flags.ack) !== 0) return;
      pings += 1;
      void client.send({ type: frameTypes.ping, payload: Buffer.alloc(8) });
    };
    await until("five PINGs have come", () => pings >= 5);
    assert(!client.socket.closed);
    client.socket.destroy();
  });
});

function open(app: TestApp, start: string): Socket {
  const socket = connect(app.port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write(start);
  return socket.resume();
}

function request(
  session: http2.ClientHttp2Session,
  method: string,
  body: Buffer,
): http2.ClientHttp2Stream {
  const stream = session.request({
    ":method": "POST",
    ":path": `${service}/${method}`,
    "content-type": "application/grpc",
  });
  stream.on("error", () => undefined);
  stream.end(body);
  return stream.resume();
}
