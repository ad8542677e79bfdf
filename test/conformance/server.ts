import { readFileSync } from "node:fs";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createContextValues } from "@connectrpc/connect";
import { connectionKey } from "../../src/rpc/connection.ts";
import { createHttpApp } from "../../src/server/http-app.ts";
import type { TlsMaterial } from "../../src/server/tls-port.ts";
import { silentLogger } from "../../src/telemetry/logger.ts";
import { conformanceRoutes } from "./service.ts";
import { messageOf, type ServerRequest } from "./suite-types.ts";

/** What the router's port adds to its limit of a payload, in bytes: room for base64 and for the other fields. */
const roomBytes = 65_536;

/** The server under test: reads from stdin what the suite wants to try, serves it, and says on stdout where. */
async function main(): Promise<void> {
  const wanted = fromBinary(
    messageOf("ServerCompatRequest"),
    readFileSync(0).subarray(4),
  ) as unknown as ServerRequest;
  const app = createHttpApp({
    routes: conformanceRoutes,
    contextValues: (connection) => createContextValues().set(connectionKey, connection),
    // The one refusal there is here, of a method that is not served; the suite takes no details with it.
    refusal: ({ detail }) => new ConnectError(detail, Code.Unimplemented),
    readiness: () => ({ ready: true }),
    logger: silentLogger,
    tls: tlsOf(wanted),
    ...(wanted.messageReceiveLimit === 0
      ? {}
      : { maxPayloadBytes: ((wanted.messageReceiveLimit - roomBytes) / 4) * 3 }),
  });
  const { host, port } = await app.listen({ host: "127.0.0.1", port: 0 });
  const answer = toBinary(
    messageOf("ServerCompatResponse"),
    create(messageOf("ServerCompatResponse"), {
      host,
      port,
      ...(wanted.serverCreds === undefined ? {} : { pemCert: wanted.serverCreds.cert }),
    }),
  );
  const length = Buffer.alloc(4);
  length.writeUInt32BE(answer.length);
  process.stdout.write(Buffer.concat([length, answer]));
  process.once("SIGTERM", () => process.exit());
}

function tlsOf({ useTls, serverCreds, clientTlsCert }: ServerRequest): TlsMaterial | undefined {
  if (!useTls || serverCreds === undefined) return undefined;
  return {
    key: text(serverCreds.key),
    cert: text(serverCreds.cert),
    ...(clientTlsCert.length === 0 ? {} : { clientCa: text(clientTlsCert) }),
  };
}

function text(pem: Uint8Array): string {
  return Buffer.from(pem).toString();
}

await main();
