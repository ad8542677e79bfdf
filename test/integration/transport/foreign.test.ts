import assert from "node:assert/strict";
import { once } from "node:events";
import * as http2 from "node:http2";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { createClient, Code, ConnectError } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { MessageRouter } from "../../../gen/mpc/router/v1/message_router_pb.js";
import { callHttp2, callOn, envelope, startApp, type TestApp } from "./test-app.ts";

const heartbeat = "/mpc.router.v1.MessageRouter/Heartbeat";

/** Hosts that a browser on this machine may have typed in, and a name that the router was told. */
const home = [
  "localhost",
  "localhost:8080",
  "LOCALHOST:1",
  "localhost.",
  "127.0.0.1",
  "127.0.0.1:65535",
  "127.255.3.4",
  "[::1]",
  "[::1]:8080",
  "[0:0:0:0:0:0:0:1]:8080",
  "[::ffff:127.0.0.1]:80",
  "router.test:8080",
  "Router.Test.",
];

/** What a page elsewhere can have its browser send, and what only looks like home. */
const foreign = [
  "evil.example",
  "evil.example:8080",
  "localhost.evil.example",
  "evil-localhost",
  "127.0.0.1.nip.example",
  "127.0.0.1.evil",
  "0.0.0.0",
  "[::]",
  "10.0.0.1",
  "[fe80::1]:80",
  "128.0.0.1",
  "router.test.evil",
  "evil.localhost",
  "localhost@evil.example",
  "evil@localhost",
  "localhost:80:80",
  "localhost:evil",
  "localhost/evil",
  "localhost,evil.example",
  "[::1].evil",
  "[localhost]",
  "::1",
  "localhost..",
  ".localhost",
  "2130706433",
  "0x7f.1",
];

const options = { homeHosts: ["router.test"] };

describe("a router for this machine alone", () => {
  it("serves requests for its own names", async () => {
    await using app = await startApp(options);
    for (const host of home) {
      assert.match(await post(app, [`Host: ${host}`]), /^HTTP\/1\.1 200 /, host);
      assert.equal((await postHttp2(app, { ":authority": host })).status, 200, host);
    }
  });

  it("refuses requests for other names", async () => {
    await using app = await startApp(options);
    for (const host of foreign) {
      const answer = await post(app, [`Host: ${host}`]);
      assert.match(answer, /^HTTP\/1\.1 (403|400) /, host);
      // Some are not even HTTP/2.
      const overHttp2 = await postHttp2(app, { ":authority": host }).catch(() => undefined);
      assert([403, 400, undefined].includes(overHttp2?.status), host);
    }
    assert.equal(app.seen.calls, 0);
  });

  it("says so in the caller's protocol", async () => {
    await using app = await startApp(options);
    const json = await post(app, ["Host: evil.example"]);
    assert.match(json, /"code":"permission_denied","message":"FOREIGN_HOST: /);
    assert.match(json, /^HTTP\/1\.1 403 /);
    const transport = createGrpcTransport({
      baseUrl: app.url,
      interceptors: [
        (next) => (request) => {
          request.header.set("host", "evil.example");
          return next(request);
        },
      ],
    });
    const client = createClient(MessageRouter, transport);
    await assert.rejects(client.heartbeat({}), (error: unknown) => {
      assert(error instanceof ConnectError);
      assert.equal(error.code, Code.PermissionDenied);
      assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "FOREIGN_HOST");
      return true;
    });
    const web = await callHttp2(app, {
      path: heartbeat,
      headers: { "content-type": "application/grpc-web+proto", host: "evil.example" },
      body: envelope(""),
    });
    assert.match(web.body.toString(), /grpc-status: 7\r\n/);
    const page = await raw(
      app,
      "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    );
    assert.match(page, /^HTTP\/1\.1 403 [^]*FOREIGN_HOST/);
  });

  it("looks at every host that a request names", async () => {
    await using app = await startApp(options);
    for (const [target, ...headers] of [
      [`http://evil.example${heartbeat}`, "Host: localhost"],
      [`HTTP://evil.example:80${heartbeat}`, "Host: localhost"],
      [`https://evil.example${heartbeat}`, "Host: localhost"],
      [`http://localhost@evil.example${heartbeat}`, "Host: localhost"],
      [heartbeat, "Host: localhost", "Host: evil.example"],
      [heartbeat, "Host: evil.example", "Host: localhost"],
      [heartbeat, "Host:"],
      [heartbeat, "Host: localhost evil.example"],
      [`evil.example${heartbeat}`, "Host: localhost"],
      [`ftp://localhost${heartbeat}`, "Host: localhost"],
    ] as const) {
      const answer = await post(app, headers, target);
      assert.match(answer, /^HTTP\/1\.1 (403|400) /, `${target} ${headers.join()}`);
    }
    const both = await postHttp2(app, { ":authority": "localhost", host: "evil.example" });
    assert.equal(both.status, 403);
    assert.equal(app.seen.calls, 0);
  });

  it("answers probes whoever asks", async () => {
    await using app = await startApp(options);
    for (const path of ["/livez", "/readyz", "/readyz?verbose"]) {
      const start = `GET ${path} HTTP/1.1\r\nHost: 10.1.2.3:8080\r\nConnection: close\r\n\r\n`;
      assert.match(await raw(app, start), /^HTTP\/1\.1 200 /, path);
    }
    const near = await raw(
      app,
      "GET /livez/../ HTTP/1.1\r\nHost: 10.1.2.3\r\nConnection: close\r\n\r\n",
    );
    assert.match(near, /^HTTP\/1\.1 403 /);
  });

  it("refuses pages of other origins, their preflights as well", async () => {
    await using app = await startApp(options);
    for (const origin of [
      "https://evil.example",
      "null",
      "",
      "http://localhost.evil.example",
      "http://evil.example:8080",
      "file://",
      "http://localhost:1@evil.example",
    ]) {
      const answer = await post(app, ["Host: localhost", `Origin: ${origin}`]);
      assert.match(answer, /^HTTP\/1\.1 403 [^]*"FOREIGN_ORIGIN: /, origin);
      const preflight = await raw(
        app,
        `OPTIONS ${heartbeat} HTTP/1.1\r\nHost: localhost\r\nOrigin: ${origin}\r\nAccess-Control-Request-Method: POST\r\nConnection: close\r\n\r\n`,
      );
      assert.match(preflight, /^HTTP\/1\.1 403 /, origin);
      const overHttp2 = await postHttp2(app, { origin });
      assert.equal(overHttp2.status, 403, origin);
    }
    assert.equal(app.seen.calls, 0);
  });

  it("serves its own pages, and those of the allowed origins", async () => {
    await using app = await startApp({ ...options, allowedOrigins: ["https://wallet.example"] });
    for (const origin of [
      "http://localhost:8080",
      "https://localhost:8080",
      "https://wallet.example",
    ]) {
      const answer = await post(app, ["Host: localhost:8080", `Origin: ${origin}`]);
      assert.match(answer, /^HTTP\/1\.1 200 /, origin);
    }
    const other = await post(app, ["Host: localhost:8080", "Origin: http://localhost:3000"]);
    assert.match(other, /^HTTP\/1\.1 403 /);
  });

  it("refuses on a connection that goes on", async () => {
    await using app = await startApp(options);
    const session = http2.connect(app.url);
    const request = {
      path: heartbeat,
      headers: { "content-type": "application/json" },
      body: "{}",
    };
    for (const [authority, status] of [
      ["evil.example", 403],
      ["localhost", 200],
    ] as const) {
      const answer = await callOn(session, {
        ...request,
        headers: { ...request.headers, ":authority": authority },
      });
      assert.equal(answer.status, status);
    }
    session.close();
  });
});

describe("a router that authenticates", () => {
  it("may be reached by any name", async () => {
    await using app = await startApp();
    const answer = await post(app, ["Host: mpc.example", "Origin: https://evil.example"]);
    assert.match(answer, /^HTTP\/1\.1 200 /);
    assert.doesNotMatch(answer, /access-control-allow-origin/i);
  });
});

function post(app: TestApp, headers: readonly string[], target = heartbeat): Promise<string> {
  const head = [`POST ${target} HTTP/1.1`, ...headers, "Content-Type: application/json"];
  return raw(app, [...head, "Content-Length: 2", "Connection: close", "", "{}"].join("\r\n"));
}

function postHttp2(
  app: TestApp,
  headers: Record<string, string>,
): Promise<{ readonly status: number }> {
  return callHttp2(app, {
    path: heartbeat,
    headers: { "content-type": "application/json", ...headers },
    body: "{}",
  });
}

/** What comes back for these bytes until the server closes. */
async function raw(app: TestApp, start: string): Promise<string> {
  const socket = connect(app.port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write(start);
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(socket, "close");
  return Buffer.concat(chunks).toString();
}
