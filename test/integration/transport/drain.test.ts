import assert from "node:assert/strict";
import { once } from "node:events";
import * as http2 from "node:http2";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { Code, ConnectError, createClient, type Client, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import {
  Health,
  HealthCheckResponse_ServingStatus,
} from "../../../gen/grpc/health/v1/health_pb.js";
import { MessageRouter } from "../../../gen/mpc/router/v1/message_router_pb.js";
import { crowded } from "../../support/crowded.ts";
import { read } from "../../support/sessions.ts";
import { until } from "../../support/until.ts";
import { startApp, type TestApp } from "./test-app.ts";

const transports: Record<string, (app: TestApp) => Transport> = {
  gRPC: ({ url }) => createGrpcTransport({ baseUrl: url }),
  "gRPC-Web": ({ url }) => createGrpcWebTransport({ baseUrl: url, httpVersion: "1.1" }),
  Connect: ({ url }) => createConnectTransport({ baseUrl: url, httpVersion: "1.1" }),
};

describe("draining", () => {
  for (const [name, createTransport] of Object.entries(transports)) {
    it(`ends open streams as unavailable in ${name}`, async () => {
      await using app = await startApp();
      const client = createClient(MessageRouter, createTransport(app));
      const next = client.subscribeMessages({ partyId: "a" })[Symbol.asyncIterator]().next();
      await until("the stream is open", () => app.seen.streams === 1);
      const startedAt = performance.now();
      const drained = app.drain();
      await assert.rejects(next, isShuttingDown);
      await drained;
      assert(performance.now() - startedAt < crowded(2_000));
      assert.equal(app.seen.streams, 0);
    });

    it(`lets calls in flight finish in ${name}`, async () => {
      await using app = await startApp();
      const client = createClient(MessageRouter, createTransport(app));
      const call = client.heartbeat({ partyId: "slow" });
      await until("the call is in flight", () => app.seen.slowCalls === 1);
      const drained = app.drain();
      app.release.resolve();
      assert.equal((await call).success, true);
      await drained;
    });
  }

  it("ends streams one after the other where others take them over, but tells probes at once", async () => {
    const count = 40;
    await using app = await startApp({ hasSuccessor: async () => true });
    const client = createClient(MessageRouter, createGrpcTransport({ baseUrl: app.url }));
    const health = createClient(Health, createGrpcTransport({ baseUrl: app.url }));
    await using watch = read((signal) => health.watch({}, { signal }));
    await watch.atLeast(1);
    const ends = Array.from({ length: count }, () => endOf(client));
    await until("the streams are open", () => app.seen.streams === count);
    const drained = app.drain();
    const told = await watch.atLeast(2);
    assert.equal(told[1]?.status, HealthCheckResponse_ServingStatus.NOT_SERVING);
    assert.ok(isShuttingDown(await watch.ended));
    await Promise.race(ends);
    const openThen = app.seen.streams;
    assert.ok(openThen > count / 2, `${openThen} of ${count} are left when the first has ended`);
    // Whoever was told first finds no way back.
    await until("no connection is taken", async () => !(await takesConnections(app)));
    assert.ok(app.seen.streams > 0);
    for (const end of ends) assert.ok(isShuttingDown(await end));
    await drained;
  });

  it("takes no further connections, and tells the open ones to go", async () => {
    await using app = await startApp();
    const session = http2.connect(app.url);
    const goaway = once(session, "goaway");
    const keptAlive = connect(app.port, "127.0.0.1");
    keptAlive.write("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    await once(keptAlive, "data");
    const silent = connect(app.port, "127.0.0.1");
    await once(silent, "connect");
    const closed = Promise.all([once(session, "close"), once(keptAlive, "end"), ended(silent)]);

    await app.drain();
    await goaway;
    await closed;
    const late = connect(app.port, "127.0.0.1");
    const [error] = (await once(late, "error")) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNREFUSED");
  });

  it("is not ready meanwhile, and asks HTTP/1.1 clients to close", async () => {
    await using app = await startApp();
    const socket = connect(app.port, "127.0.0.1");
    // Half a request keeps the connection busy.
    socket.write("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\nGET /readyz HTTP/1.1\r\n");
    const [before] = (await once(socket, "data")) as [Buffer];
    assert.match(before.toString(), /^HTTP\/1\.1 200/);
    const drained = app.drain();
    socket.write("Host: a\r\n\r\n");
    const [after] = (await once(socket, "data")) as [Buffer];
    assert.match(after.toString(), /^HTTP\/1\.1 503/);
    assert.match(after.toString(), /\r\nconnection: close\r\n/i);
    assert.match(after.toString(), /not ready: draining/);
    await drained;
  });

  it("cuts what does not end in time", async () => {
    await using app = await startApp({ timeouts: { drainMs: 100 } });
    for (const createTransport of Object.values(transports)) {
      const client = createClient(MessageRouter, createTransport(app));
      const next = client.subscribeMessages({ partyId: "deaf" })[Symbol.asyncIterator]().next();
      next.catch(() => undefined);
      client.heartbeat({ partyId: "slow" }).catch(() => undefined);
    }
    await until("all is open", () => app.seen.streams === 3 && app.seen.slowCalls === 3);
    await app.drain();
    await until("the streams have heard of it", () => app.seen.streams === 0);
  });

  it("may be asked for again, and before anything was served", async () => {
    const app = await startApp();
    await Promise.all([app.drain(), app.drain()]);
    await app.drain();
    await app[Symbol.asyncDispose]();
  });
});

/** Resolves with the error that ends a new stream. */
async function endOf(client: Client<typeof MessageRouter>): Promise<unknown> {
  try {
    for await (const message of client.subscribeMessages({ partyId: "a" })) return message;
    return undefined;
  } catch (error) {
    return error;
  }
}

async function takesConnections({ port }: TestApp): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

function isShuttingDown(error: unknown): boolean {
  return (
    error instanceof ConnectError &&
    error.code === Code.Unavailable &&
    error.findDetails(ErrorInfoSchema)[0]?.reason === "SHUTTING_DOWN"
  );
}

/** Resolves when the peer has closed, with or without an error. */
async function ended(socket: ReturnType<typeof connect>): Promise<void> {
  socket.on("error", () => undefined);
  await once(socket.resume(), "close");
}
