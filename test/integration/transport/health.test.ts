import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import {
  Health,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus as Status,
} from "../../../gen/grpc/health/v1/health_pb.js";
import { until } from "../../support/until.ts";
import { startApp, type TestApp } from "./test-app.ts";

const served = ["", "mpc.router.v1.MessageRouter"];

describe("health", () => {
  it("follows the readiness for the server and for each service", async () => {
    await using app = await startApp();
    const health = clientOf(app);
    for (const service of served) {
      assert.equal((await health.check({ service })).status, Status.SERVING);
    }
    app.readiness.set(false);
    for (const service of served) {
      assert.equal((await health.check({ service })).status, Status.NOT_SERVING);
    }
  });

  it("does not know a service that is not served", async () => {
    await using app = await startApp();
    await assert.rejects(clientOf(app).check({ service: "x.Y" }), isCode(Code.NotFound));
    const stop = new AbortController();
    const watch = clientOf(app).watch({ service: "x.Y" }, stop)[Symbol.asyncIterator]();
    assert.equal(await statusOf(watch), Status.SERVICE_UNKNOWN);
    stop.abort();
  });

  it("is watched: the state now, and each change", async () => {
    await using app = await startApp();
    const stop = new AbortController();
    const watch = clientOf(app).watch({}, stop)[Symbol.asyncIterator]();
    assert.equal(await statusOf(watch), Status.SERVING);
    app.readiness.set(false);
    assert.equal(await statusOf(watch), Status.NOT_SERVING);
    // No change: nothing comes of it.
    app.readiness.set(false);
    app.readiness.set(true);
    assert.equal(await statusOf(watch), Status.SERVING);
    stop.abort();
    await until("the watch is forgotten", () => app.readiness.listenerCount === 0);
  });

  it("tells watchers that the server stops, and ends", async () => {
    await using app = await startApp();
    const watch = clientOf(app).watch({})[Symbol.asyncIterator]();
    assert.equal(await statusOf(watch), Status.SERVING);
    const drained = app.drain();
    assert.equal(await statusOf(watch), Status.NOT_SERVING);
    await assert.rejects(watch.next(), isCode(Code.Unavailable));
    await drained;
  });

  it("answers JSON as well", async () => {
    await using app = await startApp();
    const transport = createConnectTransport({ baseUrl: app.url, httpVersion: "1.1" });
    const { status } = await createClient(Health, transport).check({});
    assert.equal(status, Status.SERVING);
  });
});

function clientOf(app: TestApp): Client<typeof Health> {
  return createClient(Health, createGrpcTransport({ baseUrl: app.url }));
}

async function statusOf(watch: AsyncIterator<HealthCheckResponse>): Promise<Status> {
  const next = await watch.next();
  assert(next.done !== true);
  return next.value.status;
}

function isCode(code: Code): (error: unknown) => boolean {
  return (error) => error instanceof ConnectError && error.code === code;
}
