import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import * as http2 from "node:http2";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { describe, it } from "node:test";
import * as tls from "node:tls";
import { promisify } from "node:util";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { MessageRouter } from "../../../gen/mpc/router/v1/message_router_pb.js";
import { type Pair, TestAuthority } from "../../support/certificates.ts";
import { until } from "../../support/until.ts";
import { startApp, type TestApp } from "./test-app.ts";

const run = promisify(execFile);
const heartbeat = "/mpc.router.v1.MessageRouter/Heartbeat";
const authority = new TestAuthority();
const server = authority.issue({ usage: "server" });
const clients = new TestAuthority("Clients");
const mutual = { ...server, clientCa: clients.cert };

describe("a TLS port", () => {
  for (const [flag, version] of [
    ["--http1.1", "1.1"],
    ["--http2", "2"],
  ] as const) {
    it(`serves curl over HTTP/${version}`, async () => {
      await using app = await startApp({ tls: server });
      const { answer, protocol } = await curl(app, [flag]);
      assert.deepEqual(answer, { success: true, serverTimestamp: "0", pendingMessages: 0 });
      assert.equal(protocol, version);
    });
  }

  it("serves gRPC, and Connect over HTTP/1.1", async () => {
    await using app = await startApp({ tls: server });
    const nodeOptions = { ca: authority.cert };
    const baseUrl = urlOf(app);
    for (const transport of [
      createGrpcTransport({ baseUrl, nodeOptions }),
      createConnectTransport({ baseUrl, httpVersion: "1.1", nodeOptions }),
    ]) {
      const client = createClient(MessageRouter, transport);
      const answer = await client.routeMessage({ payload: new Uint8Array(1_000_000) });
      assert.equal(answer.messageId, "1000000");
    }
  });

  it("speaks no TLS below 1.2", async () => {
    await using app = await startApp({ tls: server });
    await assert.rejects(
      handshake(app, { maxVersion: "TLSv1.1", minVersion: "TLSv1.1", ciphers: "ALL@SECLEVEL=0" }),
    );
    const socket = await handshake(app, { maxVersion: "TLSv1.2" });
    assert.equal(socket.getProtocol(), "TLSv1.2");
    socket.destroy();
  });

  it("answers a request that comes in two records behind a large answer", async () => {
    const staticDirectory = await mkdtemp(join(tmpdir(), "mpc-router-site-"));
    const large = randomBytes(8_000_000);
    await writeFile(join(staticDirectory, "large.bin"), large);
    try {
      await using app = await startApp({ tls: server, staticDirectory });
      const socket = await handshake(app, { ALPNProtocols: ["http/1.1"] });
      socket.write("GET /large.bin HTTP/1.1\r\nhost: localhost\r\n\r\n");
      await once(socket, "readable");
      const post = `POST ${heartbeat} HTTP/1.1\r\nhost: localhost\r\nconnection: close`;
      socket.write(`${post}\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n`);
      socket.write("{}");
      const received = await buffer(socket);
      assert.ok(received.includes(large));
      assert.match(received.subarray(-400).toString("latin1"), /"success":true/);
    } finally {
      await rm(staticDirectory, { recursive: true, force: true });
    }
  });

  it("tells clients that speak cleartext", async () => {
    await using app = await startApp({ tls: server });
    const answer = await fetch(`http://127.0.0.1:${app.port}/livez`);
    assert.deepEqual([answer.status, await answer.text()], [400, "this port speaks TLS\n"]);
    const session = http2.connect(`http://127.0.0.1:${app.port}`);
    session.on("error", () => undefined);
    let said: unknown[] = [];
    session.on("goaway", (code, _lastId, data) => (said = [code, Buffer.from(data).toString()]));
    await until("the connection is closed", () => session.destroyed);
    assert.deepEqual(said, [http2.constants.NGHTTP2_INADEQUATE_SECURITY, "this port speaks TLS\n"]);
  });

  it("is told of by a port that speaks cleartext, by an answer that is no TLS", async () => {
    await using app = await startApp();
    await assert.rejects(handshake(app, {}), /wrong version number/);
  });

  it("closes what is silent, before its handshake, in it or after it", async () => {
    await using app = await startApp({ tls: server, timeouts: { firstBytesMs: 1_000 } });
    const secure = await handshake(app, {});
    // The head of a record of the handshake, and no more.
    const starts = ["", "\x16", "\x16\x03\x01\x01\x00\x01"];
    const silent = starts.map((start) => {
      const socket = connect(app.port, "127.0.0.1");
      socket.on("error", () => undefined);
      socket.write(Buffer.from(start, "latin1"));
      return socket;
    });
    const all = [secure, ...silent];
    for (const socket of all) socket.resume();
    await until("all are closed", () => all.every(({ destroyed }) => destroyed));
  });

  it("shows a new certificate at the next handshake, and drops no connection", async () => {
    await using app = await startApp({ tls: server });
    const before = http2.connect(urlOf(app), { ca: authority.cert });
    await once(before, "connect");
    const other = new TestAuthority("Other CA");
    app.replaceTls(other.issue());
    const after = await handshake(app, { ca: other.cert });
    assert(after.authorized);
    after.destroy();
    assert.equal(await statusOf(before), 200);
    before.close();
  });

  it("drains", async () => {
    await using app = await startApp({ tls: server });
    const socket = await handshake(app, {});
    const session = http2.connect(urlOf(app), { ca: authority.cert });
    await once(session, "connect");
    const closed = Promise.all([once(socket.resume(), "close"), once(session, "close")]);
    await app.drain();
    await closed;
  });
});

describe("client certificates", () => {
  const party = clients.issue({ usage: "client", uris: ["urn:mpc:party:alice"] });

  for (const flag of ["--http1.1", "--http2"]) {
    it(`are told to the handlers with their names and their end: curl ${flag}`, async () => {
      await using app = await startApp({ tls: mutual });
      await using files = await pairFiles(party);
      const { answer } = await curl(app, [flag, "--cert", files.cert, "--key", files.key]);
      assert.equal((answer as { success: boolean }).success, true);
      assert.equal(
        app.seen.certificate?.subjectAltName,
        "DNS:localhost, URI:urn:mpc:party:alice, IP Address:127.0.0.1",
      );
      const untilEndMs = (app.seen.certificate?.validToMs ?? 0) - Date.now();
      assert(Math.abs(untilEndMs - 86_400_000) < 60_000);
    });
  }

  it("need not be shown, as a token may stand in", async () => {
    await using app = await startApp({ tls: mutual });
    const { answer } = await curl(app, []);
    assert.equal((answer as { success: boolean }).success, true);
    assert.equal(app.seen.certificate, undefined);
  });

  it("are never taken from headers", async () => {
    await using app = await startApp({ tls: mutual });
    const claims = [
      "x-forwarded-client-cert: URI=urn:mpc:party:alice",
      "x-ssl-client-verify: SUCCESS",
    ];
    await curl(
      app,
      claims.flatMap((claim) => ["--header", claim]),
    );
    assert.equal(app.seen.certificate, undefined);
  });

  it("are asked for only where their authorities are known", async () => {
    await using app = await startApp({ tls: server });
    await using files = await pairFiles(party);
    await curl(app, ["--cert", files.cert, "--key", files.key]);
    assert.equal(app.seen.certificate, undefined);
  });

  for (const [what, pair, why] of [
    [
      "of another authority",
      new TestAuthority("Clients").issue({ uris: ["urn:mpc:party:alice"] }),
      "SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_VERIFY_LEAF_SIGNATURE|CERT_SIGNATURE_FAILURE",
    ],
    [
      "that has expired",
      clients.issue({ usage: "client", notAfter: new Date(Date.now() - 1_000) }),
      "CERT_HAS_EXPIRED",
    ],
    ["of a server", clients.issue({ usage: "server" }), "INVALID_PURPOSE"],
  ] as const) {
    it(`are refused, in words: one ${what}`, async () => {
      await using app = await startApp({ tls: mutual });
      await using files = await pairFiles(pair);
      for (const flag of ["--http1.1", "--http2"]) {
        const { answer } = await curl(app, [flag, "--cert", files.cert, "--key", files.key]);
        const { code, message } = answer as { code: string; message: string };
        assert.equal(code, "unauthenticated");
        assert.match(
          message,
          new RegExp(
            String.raw`^UNAUTHENTICATED: the client certificate is not accepted \((${why})\)$`,
          ),
        );
      }
      assert.equal(app.seen.calls, 0);
    });
  }

  it("are not remembered for connections that are resumed", async () => {
    await using app = await startApp({ tls: mutual });
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      const first = await handshake(app, { ...party, maxVersion });
      let session: Buffer | undefined;
      first.on("session", (ticket: Buffer) => (session = ticket));
      first.write("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
      await once(first, "data");
      session ??= first.getSession();
      first.destroy();
      const next = await handshake(app, { ...party, maxVersion, session });
      assert.equal(next.isSessionReused(), false, maxVersion);
      next.destroy();
    }
  });

  it("are verified by new authorities once these are replaced", async () => {
    await using app = await startApp({ tls: mutual });
    app.replaceTls({ ...server, clientCa: new TestAuthority("Later").cert });
    await using files = await pairFiles(party);
    const { answer } = await curl(app, ["--cert", files.cert, "--key", files.key]);
    assert.equal((answer as { code: string }).code, "unauthenticated");
  });
});

function urlOf(app: TestApp): string {
  return `https://localhost:${app.port}`;
}

interface CurlAnswer {
  readonly answer: unknown;
  /** The version of HTTP. */
  readonly protocol: string;
}

/** A call of Heartbeat, by a client that checks the server's certificate. */
async function curl(app: TestApp, args: readonly string[]): Promise<CurlAnswer> {
  await using files = await pairFiles({ cert: authority.cert, key: "" });
  const always = `--silent --max-time 10 --noproxy * --cacert ${files.cert} --data {} --write-out \n%{http_version}`;
  const { stdout } = await run("curl", [
    ...always.split(" "),
    "--header",
    "content-type: application/json",
    ...args,
    urlOf(app) + heartbeat,
  ]);
  const [body = "", protocol = ""] = stdout.split("\n");
  return { answer: JSON.parse(body), protocol };
}

async function pairFiles(pair: Pair): Promise<Pair & AsyncDisposable> {
  const directory = await mkdtemp(join(tmpdir(), "mpc-router-tls-"));
  const [cert, key] = [join(directory, "cert.pem"), join(directory, "key.pem")];
  await writeFile(cert, pair.cert);
  await writeFile(key, pair.key);
  return { cert, key, [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
}

async function handshake(app: TestApp, options: tls.ConnectionOptions): Promise<tls.TLSSocket> {
  const socket = tls.connect({
    host: "127.0.0.1",
    port: app.port,
    servername: "localhost",
    ca: authority.cert,
    ...options,
  });
  await once(socket, "secureConnect");
  socket.on("error", () => undefined);
  return socket;
}

async function statusOf(session: http2.ClientHttp2Session): Promise<number | undefined> {
  const stream = session.request({ ":path": "/livez" }).resume();
  const [headers] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
  await until("it has ended", () => stream.closed);
  return headers[":status"] as number | undefined;
}
