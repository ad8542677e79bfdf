import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { callHttp1, type RawAnswer, startApp, type TestApp } from "./test-app.ts";

const path = "/mpc.router.v1.MessageRouter/Heartbeat";

describe("CORS", () => {
  it("lets pages of this machine call, on any port", async () => {
    await using app = await startApp();
    for (const origin of [
      "http://localhost",
      "http://localhost:5173",
      "https://127.0.0.1:8443",
      "http://[::1]:3000",
    ]) {
      const answer = await preflight(app, origin);
      assert.equal(answer.status, 204);
      assert.equal(answer.headers["access-control-allow-origin"], origin);
    }
  });

  it("lets no other page call unless it is listed", async () => {
    await using app = await startApp();
    for (const origin of [
      "https://example.org",
      "http://localhost.example.org",
      "http://example.org/localhost",
      "http://xlocalhost:1",
      "null",
    ]) {
      const answer = await preflight(app, origin);
      assert.equal(answer.headers["access-control-allow-origin"], undefined, origin);
    }
  });

  it("knows the listed origins only, once there is a list", async () => {
    await using app = await startApp({ allowedOrigins: ["https://wallet.example"] });
    const listed = await preflight(app, "https://wallet.example");
    assert.equal(listed.headers["access-control-allow-origin"], "https://wallet.example");
    for (const origin of ["http://localhost:3000", "https://wallet.example:444"]) {
      const other = await preflight(app, origin);
      assert.equal(other.headers["access-control-allow-origin"], undefined, origin);
    }
  });

  it("allows the headers of the protocols and of the router", async () => {
    await using app = await startApp();
    const answer = await preflight(app, "http://localhost:3000");
    const allowed = (answer.headers["access-control-allow-headers"] ?? "").toLowerCase();
    for (const name of [
      "content-type",
      "connect-protocol-version",
      "connect-timeout-ms",
      "x-grpc-web",
      "x-user-agent",
      "grpc-timeout",
      "authorization",
      "idempotency-key",
      "prefer",
      "last-event-id",
      "keygen-session-id",
      "traceparent",
      "tracestate",
    ]) {
      assert(allowed.split(", ").includes(name), name);
    }
    assert.match(answer.headers["access-control-allow-methods"] ?? "", /POST/);
  });

  it("shows pages the headers that gRPC-Web ends with, on answers and on refusals", async () => {
    await using app = await startApp();
    for (const body of ["{}", "{"]) {
      const answer = await callHttp1(app, {
        path,
        headers: { "content-type": "application/json", origin: "http://localhost:3000" },
        body,
      });
      assert.equal(answer.headers["access-control-allow-origin"], "http://localhost:3000");
      const exposed = (answer.headers["access-control-expose-headers"] ?? "").toLowerCase();
      for (const name of ["grpc-status", "grpc-message", "grpc-status-details-bin"]) {
        assert(exposed.includes(name), name);
      }
    }
  });
});

describe("probes", () => {
  it("say that the process lives, and whether it is ready", async () => {
    await using app = await startApp();
    const get = async (probe: string): Promise<unknown[]> => {
      const { status, body } = await callHttp1(app, { method: "GET", path: probe });
      return [status, body.toString()];
    };
    assert.deepEqual(await get("/livez"), [200, "ok\n"]);
    assert.deepEqual(await get("/readyz"), [200, "ready\n"]);
    app.readiness.set(false);
    assert.deepEqual(await get("/livez"), [200, "ok\n"]);
    assert.deepEqual(await get("/readyz"), [503, "not ready: the broker is away\n"]);
  });
});

describe("the root", () => {
  it("says what this is", async () => {
    await using app = await startApp();
    const answer = await callHttp1(app, { method: "GET", path: "/" });
    assert.equal(answer.status, 200);
    assert.match(answer.body.toString(), /^mpc-router/);
  });

  it("is the web page where there is one, beside calls and probes", async () => {
    const directory = await mkdtemp(join(tmpdir(), "mpc-router-web-"));
    try {
      await writeFile(join(directory, "index.html"), "<p>demo</p>");
      await using app = await startApp({ staticDirectory: directory });
      const page = await callHttp1(app, { method: "GET", path: "/" });
      assert.deepEqual([page.status, page.body.toString()], [200, "<p>demo</p>"]);
      const outside = await callHttp1(app, { method: "GET", path: "/..%2f..%2fetc/passwd" });
      assert.equal(Math.trunc(outside.status / 100), 4);
      const missing = await callHttp1(app, { method: "GET", path: "/none.js" });
      assert.deepEqual([missing.status, missing.body.toString()], [404, "not found\n"]);
      const probe = await callHttp1(app, { method: "GET", path: "/livez" });
      assert.equal(probe.status, 200);
      const json = { "content-type": "application/json" };
      const call = await callHttp1(app, { path, headers: json, body: "{}" });
      assert.equal(call.status, 200);
      const unknown = await callHttp1(app, { path: "/x.Y/Z", headers: json, body: "{}" });
      assert.equal(unknown.status, 404);
      assert.match(unknown.body.toString(), /unimplemented/);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

function preflight(app: TestApp, origin: string): Promise<RawAnswer> {
  return callHttp1(app, {
    method: "OPTIONS",
    path,
    headers: {
      origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": "content-type,authorization",
    },
  });
}
