import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import * as http2 from "node:http2";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { Code, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { MessageRouter } from "../../../gen/mpc/router/v1/message_router_pb.js";
import type { RunningRouter } from "../../../src/compose/router.ts";
import { showing, startIssuer, type TestIssuer } from "../../support/credentials.ts";
import { startTestRouter } from "../../support/fleet.ts";
import { startNatsServer, type NatsTestServer } from "../../support/nats-server.ts";
import { refuses } from "../../support/sessions.ts";
import { until } from "../../support/until.ts";

const path = "/mpc.router.v1.MessageRouter/Heartbeat";

type Sign = (content: string) => string;

function forged(header: object, claims: object, sign: Sign): string {
  const content = `${part(header)}.${part(claims)}`;
  return `${content}.${sign(content)}`;
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function by(key: Buffer): Sign {
  return (content) => createHmac("sha256", key).update(content).digest("base64url");
}

/** Shows this header, whatever it is. */
function showingAsIs(value: string): Interceptor[] {
  return [
    (next) => (request) => {
      request.header.set("Authorization", value);
      return next(request);
    },
  ];
}

describe("a credential that is not good", () => {
  let issuer: TestIssuer;
  let nats: NatsTestServer;
  let router: RunningRouter;
  before(async () => {
    issuer = await startIssuer();
    nats = await startNatsServer();
    const checks = ["--auth-issuer=issuer", "--auth-audience=mpc"];
    router = await startTestRouter(nats.url, [...issuer.flags, ...checks]);
  });
  after(async () => {
    await router[Symbol.asyncDispose]();
    await nats[Symbol.asyncDispose]();
    await issuer[Symbol.asyncDispose]();
  });
  const baseUrl = (): string => `http://127.0.0.1:${router.address.port}`;
  const good = { sub: "alice", role: "party", iss: "issuer", aud: "mpc" };
  const registered = async (interceptors: Interceptor[]): Promise<void> => {
    const client = createClient(
      MessageRouter,
      createGrpcTransport({ baseUrl: baseUrl(), interceptors }),
    );
    await client.registerParty({ partyId: "alice", partyRole: "temporary" });
  };

  /** By a unary call and by a stream, over HTTP/1.1 and HTTP/2: refused, and the text has nothing of it. */
  const refused = async (interceptors: Interceptor[], shown = ""): Promise<void> => {
    for (const transport of [
      createGrpcTransport({ baseUrl: baseUrl(), interceptors }),
      createConnectTransport({ baseUrl: baseUrl(), interceptors, httpVersion: "1.1" }),
    ]) {
      const client = createClient(MessageRouter, transport);
      const first = async (): Promise<void> => {
        for await (const event of client.subscribeSessionEvents({ partyId: "alice" })) {
          assert.fail(event.eventId);
        }
      };
      for (const call of [() => client.heartbeat({ partyId: "alice" }), first]) {
        const error = await refuses(call(), Code.Unauthenticated, "UNAUTHENTICATED");
        for (const piece of shown.split(".").filter((text) => text.length > 4)) {
          assert.ok(!error.message.includes(piece), error.message);
        }
      }
    }
  };

  it("is refused, where a good one is not", async () => {
    await registered(showing(await issuer.token(good)));
    await refused([]);
    const past = Math.floor(Date.now() / 1_000) - 60;
    for (const claims of [
      { ...good, exp: past },
      { ...good, exp: undefined },
      { ...good, exp: "tomorrow" },
      { ...good, nbf: past + 600 },
      { ...good, iss: "other" },
      { ...good, iss: undefined },
      { ...good, aud: "other" },
      { ...good, aud: undefined },
      { ...good, sub: "a.b" },
      { ...good, sub: undefined },
      { ...good, role: "root" },
      { ...good, role: undefined },
      { ...good, party_role: "root" },
    ]) {
      const token = await issuer.token(claims);
      await refused(showing(token), token);
    }
  });

  it("is refused when it is forged", async () => {
    const claims = { ...good, role: "coordinator", exp: Math.floor(Date.now() / 1_000) + 600 };
    const own = randomBytes(32);
    const jwk = { kty: "oct", k: own.toString("base64url") };
    for (const token of [
      forged({ alg: "none" }, claims, () => ""),
      forged({ alg: "None" }, claims, by(own)),
      forged({ alg: "HS256" }, claims, by(own)),
      forged({ alg: "HS256", jwk }, claims, by(own)),
      forged({ alg: "HS256", jku: `${baseUrl()}/keys` }, claims, by(own)),
      forged({ alg: "HS256", x5u: `${baseUrl()}/keys` }, claims, by(own)),
      forged({ alg: "HS256", crit: ["unknown"], unknown: 1 }, claims, by(issuer.secret)),
      forged({ alg: "HS512" }, claims, by(issuer.secret)),
      forged({ alg: "RS256" }, claims, by(issuer.secret)),
      "a.b.c",
      "x",
      "x".repeat(10_000),
    ]) {
      await refused(showing(token), token);
    }
  });

  it("is refused when its header is anything but one bearer token", async () => {
    const token = await issuer.token(good);
    await refused(showingAsIs(`Basic ${token}`), token);
    await refused(showingAsIs(token), token);
    await refused(showingAsIs(`Bearer ${token}, Bearer ${token}`), token);
    await refused(showingAsIs("Bearer"), token);
  });

  it("is refused beside a good one, over HTTP/1.1 and HTTP/2, whichever comes first", async () => {
    const token = `Bearer ${await issuer.token(good)}`;
    for (const shown of [
      [token, "Bearer x"],
      ["Bearer x", token],
      [token, token],
    ]) {
      assert.match(
        await rawHttp1(router.address.port, shown),
        /^HTTP\/1\.1 401 [^]*UNAUTHENTICATED/,
      );
      // Lets a client send what it should not; the type does not know it yet.
      const careless = { strictSingleValueFields: false } as http2.ClientSessionOptions;
      const session = http2.connect(baseUrl(), careless);
      const request = session.request({
        ":method": "POST",
        ":path": path,
        "content-type": "application/json",
        authorization: shown as unknown as string,
      });
      request.end('{"partyId":"alice"}');
      const [headers] = (await once(request, "response")) as [http2.IncomingHttpHeaders];
      assert.equal(headers[":status"], 401);
      session.destroy();
    }
    assert.match(await rawHttp1(router.address.port, [token]), /^HTTP\/1\.1 200 /);
  });

  it("is refused before anything of the request is read", async () => {
    const socket = connect(router.address.port, "127.0.0.1");
    await once(socket, "connect");
    let answer = "";
    socket.on("data", (chunk: Buffer) => (answer += chunk.toString()));
    socket.write(
      `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{`,
    );
    await until("it is answered", () => answer !== "");
    assert.match(answer, /^HTTP\/1\.1 401 /);
    socket.destroy();
  });

  it("keeps nobody from probes and health", async () => {
    for (const probe of ["/livez", "/readyz"]) {
      assert.equal((await fetch(baseUrl() + probe)).status, 200);
    }
    const health = await fetch(`${baseUrl()}/grpc.health.v1.Health/Check`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: "Bearer x" },
      body: "{}",
    });
    assert.equal(health.status, 200);
  });

  it("does not decide who a request is read as: what it names must be the caller", async () => {
    const shown = showing(await issuer.token(good));
    const client = createClient(
      MessageRouter,
      createGrpcTransport({ baseUrl: baseUrl(), interceptors: shown }),
    );
    await refuses(client.heartbeat({ partyId: "bob" }), Code.PermissionDenied, "CALLER_MISMATCH");
    await refuses(
      client.registerParty({ partyId: "alice", partyRole: "persistent" }),
      Code.PermissionDenied,
      "ROLE_NOT_ALLOWED",
    );
  });
});

/** The whole answer to a heartbeat with these Authorization headers, as it came. */
async function rawHttp1(port: number, authorizations: readonly string[]): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  const body = '{"partyId":"alice"}';
  const headers = authorizations.map((value) => `authorization: ${value}\r\n`).join("");
  socket.write(
    `POST ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n${headers}content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  let answer = "";
  for await (const chunk of socket) answer += String(chunk);
  return answer;
}
