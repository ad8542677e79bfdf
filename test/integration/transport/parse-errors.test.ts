import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import type { JsonValue } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { errorFromJson, errorFromJsonBytes } from "@connectrpc/connect/protocol-connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import {
  callHttp1,
  callHttp2,
  envelope,
  type RawAnswer,
  startApp,
  type TestApp,
} from "./test-app.ts";

const service = "/mpc.router.v1.MessageRouter";

/** Stands in every request below; no answer may repeat it. */
const secret = "S3CRET";

/** A field of ten bytes, of which seven come. */
const brokenBinary = `\x0a\x0a${secret}`;
const brokenJson = `{"partyId":"${secret}`;
const wrongJson = `{"partyId":{"x":"${secret}"}}`;
const brokenBase64 = `{"payload":"${secret}!"}`;

interface Case {
  readonly what: string;
  readonly method?: string;
  readonly contentType: string;
  readonly headers?: Record<string, string>;
  readonly body: Uint8Array | string;
  readonly reason?: string;
}

const unary: Case[] = [
  { what: "JSON cut short", contentType: "application/json", body: brokenJson },
  { what: "JSON of the wrong type", contentType: "application/json", body: wrongJson },
  {
    what: "bad base64",
    method: "RouteMessage",
    contentType: "application/json",
    body: brokenBase64,
  },
  {
    what: "bad UTF-8",
    contentType: "application/json",
    body: Buffer.from(`"${secret}\xff`, "latin1"),
  },
  { what: "binary cut short", contentType: "application/proto", body: brokenBinary },
  {
    what: "no gzip",
    contentType: "application/json",
    headers: { "content-encoding": "gzip" },
    body: secret,
  },
  {
    what: "gzip cut short",
    contentType: "application/json",
    headers: { "content-encoding": "gzip" },
    body: gzipSync(`{"partyId":"${secret}"}`).subarray(0, 15),
  },
  {
    what: "a bad deadline",
    contentType: "application/json",
    headers: { "connect-timeout-ms": secret },
    body: "{}",
  },
  {
    what: "an unknown compression",
    contentType: "application/json",
    headers: { "content-encoding": secret },
    body: "{}",
    reason: "UNIMPLEMENTED",
  },
];

const enveloped: Case[] = ["grpc+proto", "grpc-web+proto", "connect+proto"].flatMap((kind) => {
  const methods = kind.startsWith("connect")
    ? ["SubscribeMessages"]
    : ["Heartbeat", "SubscribeMessages"];
  const encoding = kind.startsWith("connect") ? "connect-content-encoding" : "grpc-encoding";
  const deadline = kind.startsWith("connect") ? "connect-timeout-ms" : "grpc-timeout";
  const contentType = `application/${kind}`;
  const json = contentType.replace("proto", "json");
  return methods.flatMap((method) => [
    { what: "a broken message", method, contentType, body: envelope(brokenBinary) },
    { what: "broken JSON", method, contentType: json, body: envelope(brokenJson) },
    {
      what: "an envelope cut short",
      method,
      contentType,
      body: envelope(brokenBinary).subarray(0, 9),
    },
    { what: "half a head of an envelope", method, contentType, body: envelope("").subarray(0, 3) },
    {
      what: "a compressed message of no compression",
      method,
      contentType,
      body: envelope(secret, 1),
    },
    {
      what: "no gzip",
      method,
      contentType,
      headers: { [encoding]: "gzip" },
      body: envelope(secret, 1),
    },
    {
      what: "an unknown compression",
      method,
      contentType,
      headers: { [encoding]: secret },
      body: envelope(""),
      reason: "UNIMPLEMENTED",
    },
    {
      what: "a bad deadline",
      method,
      contentType,
      headers: { [deadline]: secret },
      body: envelope(""),
    },
    { what: "no message", method, contentType, body: "", reason: "UNIMPLEMENTED" },
    {
      what: "two messages",
      method,
      contentType,
      body: Buffer.concat([envelope(""), envelope("")]),
      reason: "UNIMPLEMENTED",
    },
    {
      what: "garbage behind the message",
      method,
      contentType,
      body: Buffer.concat([envelope(""), Buffer.from(secret.slice(0, 3))]),
    },
  ]);
});

describe("a request that cannot be read", () => {
  for (const [version, call] of [
    ["HTTP/1.1", callHttp1],
    ["HTTP/2", callHttp2],
  ] as const) {
    for (const [name, cases] of [
      ["unary Connect", unary],
      ["envelopes", enveloped],
    ] as const) {
      it(`is refused with a fixed text: ${name} over ${version}`, async () => {
        await using app = await startApp();
        for (const each of cases) {
          // fetch hides trailers, and so does every HTTP/1.1 client of gRPC.
          if (version === "HTTP/1.1" && each.contentType.includes("grpc+")) continue;
          const answer = await send(app, call, each);
          const about = `${each.what}, ${each.method ?? "Heartbeat"} in ${each.contentType}`;
          assertRefused(answer, each.reason ?? "INVALID_FIELD", about);
        }
      });
    }
  }

  it("leaves the connection and the method usable", async () => {
    await using app = await startApp();
    const path = `${service}/Heartbeat`;
    const headers = { "content-type": "application/json" };
    const bad = await callHttp1(app, { path, headers, body: brokenJson });
    assert.equal(bad.status, 400);
    const good = await callHttp1(app, { path, headers, body: "{}" });
    assert.equal(good.status, 200);
  });
});

function send(
  app: TestApp,
  call: typeof callHttp1,
  { method, contentType, headers, body }: Case,
): Promise<RawAnswer> {
  return call(app, {
    path: `${service}/${method ?? "Heartbeat"}`,
    headers: { "content-type": contentType, ...headers },
    body,
  });
}

const refusals: Record<string, { readonly code: Code; readonly message: string }> = {
  INVALID_FIELD: {
    code: Code.InvalidArgument,
    message: "INVALID_FIELD: the request cannot be decoded",
  },
  UNIMPLEMENTED: {
    code: Code.Unimplemented,
    message:
      "UNIMPLEMENTED: the compression of the request, or the number of its messages, is not supported",
  },
};

function assertRefused(answer: RawAnswer, reason: string, about: string): void {
  const everything = JSON.stringify(answer.headers) + answer.body.toString("latin1");
  assert(!everything.includes(secret), `${about}: quotes the request`);
  const error = errorOf(answer);
  const [info] = error.findDetails(ErrorInfoSchema);
  assert.deepEqual(
    { code: error.code, message: error.rawMessage, reason: info?.reason, domain: info?.domain },
    { ...refusals[reason], reason, domain: "mpc.router" },
    about,
  );
}

/** The error of an answer, read from where its protocol has it. */
function errorOf(answer: RawAnswer): ConnectError {
  const none = new ConnectError("no error");
  const contentType = answer.headers["content-type"] ?? "";
  if (contentType === "application/json") {
    return errorFromJsonBytes(answer.body, undefined, none);
  }
  // The last envelope of the others has what HTTP/2 has trailers for.
  const last = answer.body.subarray(5);
  if (contentType.startsWith("application/connect+")) {
    const end = JSON.parse(last.toString()) as { error: JsonValue };
    return errorFromJson(end.error, undefined, none);
  }
  const trailers = new Headers(
    contentType.startsWith("application/grpc-web")
      ? last
          .toString()
          .trim()
          .split("\r\n")
          .map((line) => line.split(": ") as [string, string])
      : Object.entries(answer.headers).filter(([name]) => name.startsWith("grpc-")),
  );
  return findTrailerError(trailers) ?? none;
}
