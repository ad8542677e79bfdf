import assert from "node:assert/strict";
import * as http2 from "node:http2";
import { describe, it } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { ErrorInfoSchema, RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { MessageRouter } from "../../../gen/mpc/router/v1/message_router_pb.js";
import type { Caller } from "../../../src/domain/caller.ts";
import { Quota } from "../../../src/limits/quota.ts";
import { RateLimiter } from "../../../src/limits/rate-limiter.ts";
import { createCallerLimits } from "../../../src/rpc/caller-limits.ts";
import { until } from "../../support/until.ts";
import { callOn, startApp } from "./test-app.ts";

/** So slow that nothing comes back while a test runs. */
const slowRate = { perSecond: 0.001, burst: 2 };

describe("the rate of a connection", () => {
  it("is held, whatever the protocol, and other connections are not", async () => {
    await using app = await startApp({ callRate: slowRate });
    for (const createTransport of [createGrpcTransport, createConnectTransport]) {
      const transports = [1, 2].map(() =>
        createTransport({ baseUrl: app.url, httpVersion: "2", nodeOptions: {} }),
      );
      for (const transport of transports) {
        const client = createClient(MessageRouter, transport);
        await client.heartbeat({});
        await client.heartbeat({});
        await assert.rejects(client.heartbeat({}), isRateLimited);
        await assert.rejects(first(client.subscribeMessages({ partyId: "a" })), isRateLimited);
      }
    }
  });

  it("does not count probes and pages", async () => {
    await using app = await startApp({ callRate: slowRate });
    const session = http2.connect(app.url);
    for (let count = 0; count < 5; count++) {
      for (const path of ["/livez", "/"]) {
        assert.equal((await callOn(session, { method: "GET", path })).status, 200);
      }
    }
    session.close();
  });
});

describe("the rate of a party", () => {
  it("is held over all connections, and other parties are not", async () => {
    await using app = await startApp({}, limitsOf({ perSecond: 0.001, burst: 2 }, 10));
    const clients = [1, 2].map(() => clientOf(app.url));
    for (const partyId of ["alice", "bob"]) {
      for (const client of clients) await client.heartbeat({}, as(partyId));
      for (const client of clients) {
        await assert.rejects(client.heartbeat({}, as(partyId)), isRateLimited);
      }
    }
  });
});

describe("the streams of a party", () => {
  it("are held to their number; one that ends makes room", async () => {
    await using app = await startApp({}, limitsOf({ perSecond: 1_000, burst: 1_000 }, 2));
    const client = clientOf(app.url);
    const open = (partyId: string): AbortController => {
      const stop = new AbortController();
      const stream = client.subscribeMessages({ partyId }, { ...as(partyId), signal: stop.signal });
      first(stream).catch(() => undefined);
      return stop;
    };
    const [one, two] = [open("alice"), open("alice")];
    await until("both are open", () => app.seen.streams === 2);
    const third = () => first(client.subscribeMessages({ partyId: "alice" }, as("alice")));
    await assert.rejects(third, isRateLimited);
    await client.heartbeat({}, as("alice"));
    const other = open("bob");
    await until("another party's is open", () => app.seen.streams === 3);

    one.abort();
    await until("one has ended", () => app.seen.streams === 2);
    const again = open("alice");
    await until("there is room again", () => app.seen.streams === 3);
    await assert.rejects(third, isRateLimited);
    for (const stop of [two, other, again]) stop.abort();
  });
});

function isRateLimited(error: unknown): true {
  assert(error instanceof ConnectError);
  assert.equal(error.code, Code.ResourceExhausted);
  assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "RATE_LIMITED");
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  assert(delay !== undefined && (delay.seconds > 0n || delay.nanos > 0));
  return true;
}

/** The calls are of the party that a header names: who calls is not this test's matter. */
function limitsOf(rate: { perSecond: number; burst: number }, maxStreams: number) {
  const limits = createCallerLimits({
    calls: new RateLimiter({ rate, nowMs: () => performance.now() }),
    streams: new Quota(maxStreams),
  });
  return (context: Parameters<typeof limits>[0]): void => {
    const partyId = context.requestHeader.get("party") ?? "";
    const caller: Caller = { kind: "party", partyId };
    limits(context, caller);
  };
}

function as(partyId: string): { headers: { party: string } } {
  return { headers: { party: partyId } };
}

function clientOf(baseUrl: string) {
  return createClient(MessageRouter, createGrpcTransport({ baseUrl }));
}

function first<T>(stream: AsyncIterable<T>): Promise<IteratorResult<T>> {
  return stream[Symbol.asyncIterator]().next();
}
