import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { showing, startIssuer, type TestIssuer } from "../../support/credentials.ts";
import { startTestRouter } from "../../support/fleet.ts";
import { startNatsServer } from "../../support/nats-server.ts";
import { refuses } from "../../support/sessions.ts";
import { clientsBy, question, type Clients, type Question } from "./matrix-calls.ts";

const hourMs = 3_600_000;

interface Setup extends AsyncDisposable {
  readonly issuer: TestIssuer;
  readonly clock: { aheadMs: number };
  clients(token: string, protocol?: "gRPC" | "Connect"): Clients;
}

async function setup(): Promise<Setup> {
  await using resources = new AsyncDisposableStack();
  const issuer = resources.use(await startIssuer());
  const nats = resources.use(await startNatsServer());
  const clock = { aheadMs: 0, nowMs: (): number => Date.now() + clock.aheadMs };
  const router = resources.use(await startTestRouter(nats.url, issuer.flags, clock));
  const baseUrl = `http://127.0.0.1:${router.address.port}`;
  const held = resources.move();
  return {
    issuer,
    clock,
    clients(token, protocol = "gRPC") {
      const interceptors = showing(token);
      return clientsBy(
        protocol === "gRPC"
          ? createGrpcTransport({ baseUrl, interceptors })
          : createConnectTransport({ baseUrl, interceptors, httpVersion: "1.1" }),
      );
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** Reads a stream to its end; `opened` resolves with its headers. */
function reading(open: (onHeader: () => void) => AsyncIterable<unknown>): {
  readonly opened: Promise<void>;
  readonly ended: Promise<void>;
} {
  const { promise: opened, resolve } = Promise.withResolvers<void>();
  const ended = (async () => {
    for await (const item of open(resolve)) void item;
  })();
  ended.catch(() => undefined);
  return { opened, ended };
}

async function* questionAndSilence(): AsyncGenerator<Question> {
  yield* question();
  await new Promise(() => undefined);
}

describe("a token that ends while it is in use", () => {
  for (const protocol of ["gRPC", "Connect"] as const) {
    it(`ends streams and long polls by ${protocol} as unauthenticated, and those of nobody else`, async () => {
      await using router = await setup();
      const { issuer, clock } = router;
      const inAnHour = Math.floor(Date.now() / 1_000) + 3_600;
      const long = { exp: inAnHour + 7_200 };
      const control = router.clients(await issuer.coordinator(long));
      const lasting = router.clients(await issuer.party("alice", long), protocol);
      const bob = router.clients(await issuer.party("bob", long), protocol);
      const ending = router.clients(await issuer.party("alice", { exp: inAnHour }), protocol);
      const endingControl = router.clients(await issuer.coordinator({ exp: inAnHour }), protocol);
      for (const [partyId, party] of [
        ["alice", lasting],
        ["bob", bob],
      ] as const) {
        await party.router.registerParty({ partyId, partyRole: "persistent" });
      }
      const { session, joinTokens } = await control.coordinator.createSession({
        sessionType: "keygen",
        thresholdN: 2,
        thresholdT: 2,
        selectedParties: ["alice", "bob"],
        expiresInMs: BigInt(10 * hourMs),
      });
      const sessionId = session?.sessionId ?? "";
      const partyId = "alice";
      const joinToken = joinTokens[partyId] ?? "";
      await lasting.router.joinSession({ sessionId, partyId, joinToken });
      const other = reading((onHeader) =>
        lasting.router.subscribeSessionEvents({ partyId }, { onHeader }),
      );
      const streams = [
        reading((onHeader) => ending.router.subscribeSessionEvents({ partyId }, { onHeader })),
        reading((onHeader) =>
          ending.router.subscribeMessages({ sessionId, partyId }, { onHeader }),
        ),
        reading((onHeader) => endingControl.coordinator.watchSession({ sessionId }, { onHeader })),
      ];
      await Promise.all([other, ...streams].map(({ opened }) => opened));
      const poll = ending.router.getPendingMessages(
        { sessionId, partyId },
        { headers: { Prefer: "wait=30" } },
      );
      poll.catch(() => undefined);
      // So that the poll has come before the clock is turned.
      await ending.router.heartbeat({ partyId });
      clock.aheadMs = hourMs + 31_000;
      for (const call of [poll, ...streams.map(({ ended }) => ended)]) {
        await refuses(call, Code.Unauthenticated, "UNAUTHENTICATED");
      }
      await refuses(ending.router.heartbeat({ partyId }), Code.Unauthenticated, "UNAUTHENTICATED");
      await lasting.router.heartbeat({ partyId });
      assert.equal(await Promise.race([other.ended, Promise.resolve("open")]), "open");
    });
  }

  it("ends reflection too, which may be silent for ever", async () => {
    await using router = await setup();
    const exp = Math.floor(Date.now() / 1_000) + 60;
    const { reflection } = router.clients(await router.issuer.party("alice", { exp }));
    const answers = reflection.serverReflectionInfo(questionAndSilence());
    const { promise: answered, resolve } = Promise.withResolvers<void>();
    const ended = (async () => {
      for await (const answer of answers) resolve(void answer);
    })();
    await answered;
    router.clock.aheadMs = 91_000;
    await refuses(ended, Code.Unauthenticated, "UNAUTHENTICATED");
  });
});
