import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { Code, ConnectError, type ConnectRouter, type Interceptor } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { MessageRouter } from "../../../gen/mpc/router/v1/message_router_pb.js";
import { connectParty, isPartyError, type Party } from "../../../src/party/index.ts";
import { partyTransport } from "../../support/parties.ts";
import { until } from "../../support/until.ts";

interface GuardedServer extends AsyncDisposable {
  readonly url: string;
  /** Authorization headers in the order they came, by method. */
  readonly shown: readonly string[];
  /** From now on only this token opens anything; streams that were opened with another are ended. */
  accept(token: string): void;
}

/** A server that asks for a token: as much of the router as a party needs that does nothing. */
async function startGuarded(): Promise<GuardedServer> {
  let accepted = "first";
  let revoked = Promise.withResolvers<void>();
  const shown: string[] = [];
  const guard: Interceptor = (next) => async (request) => {
    const header = request.header.get("authorization") ?? "none";
    shown.push(`${request.method.name} ${header}`);
    if (header !== `Bearer ${accepted}`) throw new ConnectError("no", Code.Unauthenticated);
    return next(request);
  };
  const routes = (router: ConnectRouter): void => {
    router.service(MessageRouter, {
      registerParty: () => ({ success: true }),
      heartbeat: () => ({ success: true }),
      async *subscribeSessionEvents() {
        yield { eventId: "e", eventType: "hello", sessionId: "s" };
        await revoked.promise;
        throw new ConnectError("the token has expired", Code.Unauthenticated);
      },
    });
  };
  const server = createServer(connectNodeAdapter({ routes, interceptors: [guard] }));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    shown,
    accept(token) {
      accepted = token;
      revoked.resolve();
      revoked = Promise.withResolvers();
    },
    async [Symbol.asyncDispose]() {
      revoked.resolve();
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function connect(
  server: GuardedServer,
  token: () => string | Promise<string>,
  signal?: AbortSignal,
): Promise<Party> {
  const transport = partyTransport("Connect", server.url);
  return connectParty({
    transport,
    partyId: "alice",
    token,
    ...(signal === undefined ? {} : { signal }),
  });
}

/** A web token that expires after so many seconds; nobody here looks at its signature. */
function webToken(seconds: number, name: string): string {
  const claims = { sub: name, exp: Math.floor(Date.now() / 1_000) + seconds };
  return ["{}", JSON.stringify(claims), name]
    .map((part) => Buffer.from(part).toString("base64url"))
    .join(".");
}

describe("a party's token", () => {
  it("is asked for once and shown with every call", async () => {
    await using server = await startGuarded();
    let asked = 0;
    await using party = await connect(server, async () => {
      asked++;
      return "first";
    });
    await party.heartbeat();
    await party.events().next();
    assert.equal(asked, 1);
    assert.deepEqual(server.shown, [
      "RegisterParty Bearer first",
      "Heartbeat Bearer first",
      "SubscribeSessionEvents Bearer first",
    ]);
  });

  it("is asked for again when a call is refused, and the call is made again", async () => {
    await using server = await startGuarded();
    const tokens = ["first", "second"];
    await using party = await connect(server, () => tokens.shift() ?? "none left");
    server.accept("second");
    await party.heartbeat();
    assert.deepEqual(server.shown.slice(1), ["Heartbeat Bearer first", "Heartbeat Bearer second"]);
  });

  it("is asked for again when a stream is ended for it, and the stream is opened again", async () => {
    await using server = await startGuarded();
    const tokens = ["first", "second"];
    await using party = await connect(server, () => tokens.shift() ?? "none left");
    await party.events().next();
    server.accept("second");
    const again = "SubscribeSessionEvents Bearer second";
    await until("the stream is open again", () => server.shown.includes(again));
  });

  it("is final when a fresh one is refused too", async () => {
    await using server = await startGuarded();
    await assert.rejects(
      connect(server, () => "wrong"),
      (error) => {
        assert.ok(isPartyError(error, "UNAUTHENTICATED"));
        assert.equal(error.isFinal, true);
        return true;
      },
    );
    assert.equal(server.shown.length, 2);
  });

  it("is asked for again before it is old", async () => {
    await using server = await startGuarded();
    const [old, fresh] = [webToken(1, "old"), webToken(3_600, "fresh")];
    const tokens = [old, fresh];
    server.accept(old);
    await using party = await connect(server, () => tokens.shift() ?? "none left");
    server.accept(fresh);
    const expiredAt = Date.now() + 1_000;
    await until("the token is old", () => Date.now() > expiredAt);
    await party.heartbeat();
    await party.heartbeat();
    assert.deepEqual(server.shown.slice(1), [
      `Heartbeat Bearer ${fresh}`,
      `Heartbeat Bearer ${fresh}`,
    ]);
    assert.equal(tokens.length, 0);
  });

  it("may be late: its source is asked until it answers", async () => {
    await using server = await startGuarded();
    let asked = 0;
    await using party = await connect(server, () => {
      if (++asked < 3) throw new TypeError("fetch failed");
      return "first";
    });
    assert.equal(asked, 3);
    assert.equal(server.shown.length, 1);
    assert.equal(party.faults.retries, 2);
  });

  it("is not waited for when the signal fires", async () => {
    await using server = await startGuarded();
    const stop = new AbortController();
    const connecting = connect(server, () => new Promise(() => undefined), stop.signal);
    stop.abort();
    await assert.rejects(connecting, (error) => isPartyError(error, "ABORTED"));
  });
});
