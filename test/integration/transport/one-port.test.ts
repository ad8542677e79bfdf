import assert from "node:assert/strict";
import { once } from "node:events";
import * as http2 from "node:http2";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  compressionGzip,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { MessageRouter } from "../../../gen/mpc/router/v1/message_router_pb.js";
import { callHttp1, callHttp2, envelope, startApp, type TestApp } from "./test-app.ts";

const service = `/${MessageRouter.typeName}`;

const transports: Record<string, (app: TestApp) => Transport> = {
  "gRPC over HTTP/2": ({ url }) => createGrpcTransport({ baseUrl: url }),
  "gRPC with gzip over HTTP/2": ({ url }) =>
    createGrpcTransport({ baseUrl: url, sendCompression: compressionGzip }),
  "gRPC-Web over HTTP/1.1": ({ url }) =>
    createGrpcWebTransport({ baseUrl: url, httpVersion: "1.1" }),
  "gRPC-Web over HTTP/2": ({ url }) => createGrpcWebTransport({ baseUrl: url, httpVersion: "2" }),
  "Connect over HTTP/1.1": ({ url }) =>
    createConnectTransport({ baseUrl: url, httpVersion: "1.1", useBinaryFormat: true }),
  "Connect over HTTP/2": ({ url }) =>
    createConnectTransport({ baseUrl: url, httpVersion: "2", useBinaryFormat: true }),
  "JSON over HTTP/1.1": ({ url }) =>
    createConnectTransport({ baseUrl: url, httpVersion: "1.1", useBinaryFormat: false }),
};

describe("one port", () => {
  for (const [name, createTransport] of Object.entries(transports)) {
    it(`serves calls, streams and refusals in ${name}`, async () => {
      await using app = await startApp();
      const client = createClient(MessageRouter, createTransport(app));

      const answer = await client.routeMessage({ payload: new Uint8Array(100_000) });
      assert.equal(answer.messageId, "100000");

      app.mailbox.messages.push(
        { payload: new Uint8Array(3) },
        { payload: new Uint8Array(70_000) },
      );
      const stop = new AbortController();
      const sizes: number[] = [];
      for await (const message of client.subscribeMessages({ partyId: "a" }, stop)) {
        sizes.push(message.payload.length);
        if (sizes.length === 2) break;
      }
      stop.abort();
      assert.deepEqual(sizes, [3, 70_000]);

      for (const refused of [
        () => client.heartbeat({ partyId: "refused" }),
        () => client.subscribeMessages({})[Symbol.asyncIterator]().next(),
      ]) {
        await assert.rejects(refused, (error: unknown) => {
          assert(error instanceof ConnectError);
          assert.equal(error.code, Code.InvalidArgument);
          const [info] = error.findDetails(ErrorInfoSchema);
          assert.equal(info?.reason, "INVALID_ID");
          assert.equal(info.domain, "mpc.router");
          return true;
        });
      }
    });
  }

  it("writes zeros and false in JSON answers", async () => {
    await using app = await startApp();
    const answer = await callHttp1(app, {
      path: `${service}/Heartbeat`,
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    assert.deepEqual(JSON.parse(answer.body.toString()), {
      success: true,
      serverTimestamp: "0",
      pendingMessages: 0,
    });
  });

  it("serves HTTP/1.1 and HTTP/2 where the first bytes come one by one", async () => {
    await using app = await startApp();
    const socket = connect(app.port, "127.0.0.1");
    await once(socket, "connect");
    // Begins as the HTTP/2 preface does.
    for (const byte of "PROPFIND /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") {
      await new Promise((resolve) => socket.write(byte, resolve));
    }
    const [answer] = (await once(socket, "data")) as [Buffer];
    assert.match(answer.toString(), /^HTTP\/1\.1 404/);
  });
});

describe("stream headers", () => {
  for (const contentType of [
    "application/grpc",
    "application/grpc-web",
    "application/connect+proto",
  ]) {
    it(`go out at once over HTTP/2 in ${contentType}`, async () => {
      await using app = await startApp();
      const session = http2.connect(app.url);
      const stream = session.request({
        ":method": "POST",
        ":path": `${service}/SubscribeMessages`,
        "content-type": contentType,
        origin: "http://localhost:3000",
      });
      stream.on("error", () => undefined);
      stream.end(envelope("\x12\x01a"));
      const [headers] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
      assert.equal(headers[":status"], 200);
      assert.equal(headers["content-type"], contentType.replace(/(grpc|web)$/, "$1+proto"));
      assert.equal(headers["access-control-allow-origin"], "http://localhost:3000");
      session.destroy();
      await once(session, "close");
    });
  }

  for (const contentType of ["application/grpc-web+proto", "application/connect+json"]) {
    it(`go out at once over HTTP/1.1 in ${contentType}`, async () => {
      await using app = await startApp();
      const stop = new AbortController();
      const response = await fetch(`${app.url}${service}/SubscribeMessages`, {
        method: "POST",
        headers: { "content-type": contentType },
        body: envelope(contentType.endsWith("json") ? '{"partyId":"a"}' : "\x12\x01a"),
        signal: stop.signal,
      });
      assert.equal(response.status, 200);
      assert.equal(response.headers.get("content-type"), contentType);
      stop.abort();
    });
  }
});

describe("an unknown method", () => {
  for (const [version, call] of [
    ["HTTP/1.1", callHttp1],
    ["HTTP/2", callHttp2],
  ] as const) {
    it(`is unimplemented in the caller's protocol over ${version}`, async () => {
      await using app = await startApp();
      const path = `${service}/NoSuchMethod`;
      const post = (contentType: string, body: Uint8Array | string) =>
        call(app, { path, headers: { "content-type": contentType }, body });

      const json = await post("application/json", "{}");
      assert.equal(json.status, 404);
      const error = JSON.parse(json.body.toString()) as { code: string; message: string };
      assert.equal(error.code, "unimplemented");
      assert.match(error.message, /^UNIMPLEMENTED: /);

      const stream = await post("application/connect+json", envelope("{}"));
      assert.equal(stream.status, 200);
      assert.match(stream.body.subarray(5).toString(), /^\{"error":\{"code":"unimplemented"/);

      const web = await post("application/grpc-web+proto", envelope(""));
      assert.match(web.body.toString(), /grpc-status: 12\r\n/);

      if (version === "HTTP/2") {
        const grpc = await post("application/grpc", envelope(""));
        assert.equal(grpc.status, 200);
        assert.equal(grpc.headers["grpc-status"], "12");
      }
    });
  }

  it("is not found where the request is no call", async () => {
    await using app = await startApp();
    const answer = await callHttp1(app, { method: "GET", path: "/nothing" });
    assert.deepEqual([answer.status, answer.body.toString()], [404, "not found\n"]);
    const form = await callHttp1(app, { path: `${service}/Heartbeat`, body: "x" });
    assert.equal(form.status, 415);
    assert.match(form.body.toString(), /application\/json/);
    const get = await callHttp1(app, { method: "GET", path: `${service}/Heartbeat` });
    assert.deepEqual([get.status, get.headers["allow"]], [405, "POST"]);
  });
});
