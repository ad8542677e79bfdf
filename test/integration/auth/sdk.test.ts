import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createClient } from "@connectrpc/connect";
import { SessionCoordinator } from "../../../gen/mpc/coordinator/v1/coordinator_pb.js";
import type { RunningRouter } from "../../../src/compose/router.ts";
import {
  connectParty,
  isPartyError,
  type Party,
  type PartySession,
} from "../../../src/party/index.ts";
import { showing, startIssuer, type TestIssuer } from "../../support/credentials.ts";
import { startTestRouter } from "../../support/fleet.ts";
import { startNatsServer, type NatsTestServer } from "../../support/nats-server.ts";
import { partyProtocols, partyTransport, type PartyProtocol } from "../../support/parties.ts";
import { until } from "../../support/until.ts";

describe("parties on the SDK, with authentication on", () => {
  let issuer: TestIssuer;
  let nats: NatsTestServer;
  let router: RunningRouter;
  const clock = { aheadMs: 0, nowMs: (): number => Date.now() + clock.aheadMs };
  before(async () => {
    issuer = await startIssuer();
    nats = await startNatsServer();
    router = await startTestRouter(nats.url, issuer.flags, clock);
  });
  after(async () => {
    await router[Symbol.asyncDispose]();
    await nats[Symbol.asyncDispose]();
    await issuer[Symbol.asyncDispose]();
  });
  const url = (): string => `http://127.0.0.1:${router.address.port}`;
  const connect = (
    partyId: string,
    token: () => Promise<string>,
    protocol: PartyProtocol = "gRPC",
  ): Promise<Party> => connectParty({ transport: partyTransport(protocol, url()), partyId, token });

  it("go through a whole session, one over each protocol, ordered by a coordinator's token", async () => {
    const shown = showing(await issuer.coordinator());
    const coordinator = createClient(SessionCoordinator, partyTransport("Connect", url(), shown));
    await using parties = new AsyncDisposableStack();
    const names = partyProtocols.map((_, index) => `whole-${index}`);
    const connected: Party[] = [];
    for (const [index, partyId] of names.entries()) {
      const token = (): Promise<string> => issuer.party(partyId);
      connected.push(parties.use(await connect(partyId, token, partyProtocols[index])));
    }
    const created = await coordinator.createSession({
      sessionType: "keygen",
      thresholdN: names.length,
      thresholdT: 2,
      selectedParties: names,
    });
    const sessionId = created.session?.sessionId ?? "";
    const joined = await Promise.all(
      connected.map((party) =>
        party.join({ sessionId, joinToken: created.joinTokens[party.partyId] ?? "" }),
      ),
    );
    await Promise.all(joined.map((session) => session.ready()));
    await Promise.all(joined.map((session) => oneRound(session, names.length - 1)));
    const publicKey = new Uint8Array(33).fill(3);
    await Promise.all(joined.map((session) => session.complete({ publicKey })));
    const { session } = await coordinator.getSession({ sessionId });
    assert.equal(session?.status, "completed");
  });

  it("learn by an error of their own that a token is wrong, expired, or another party's", async () => {
    const past = nowSeconds() - 3_600;
    const cases: readonly (readonly [() => Promise<string>, string])[] = [
      [async () => "wrong", "UNAUTHENTICATED"],
      [() => issuer.party("clear", { exp: past }), "UNAUTHENTICATED"],
      [() => issuer.party("other"), "CALLER_MISMATCH"],
      [() => issuer.coordinator(), "CALLER_MISMATCH"],
      [() => issuer.party("clear", { party_role: "delegate" }), "ROLE_NOT_ALLOWED"],
    ];
    for (const [token, reason] of cases) {
      await assert.rejects(connect("clear", token), (error) => {
        assert.ok(isPartyError(error, reason), String(error));
        assert.equal(error.isFinal, true);
        return true;
      });
    }
  });

  it("go on with the next token when the one that a stream was opened with ends", async () => {
    const shown = showing(await issuer.coordinator({ exp: nowSeconds() + 86_400 }));
    const coordinator = createClient(SessionCoordinator, partyTransport("Connect", url(), shown));
    let exp = nowSeconds() + 3_600;
    await using party = await connect("lasting", () => issuer.party("lasting", { exp }));
    const events = party.events({ types: ["session_created"] });
    const order = async (): Promise<string | undefined> => {
      const { session } = await coordinator.createSession({
        sessionType: "keygen",
        thresholdN: 2,
        thresholdT: 2,
        selectedParties: ["lasting", "other"],
        expiresInMs: 86_400_000n,
      });
      return session?.sessionId;
    };
    const first = await order();
    assert.equal((await events.next()).value?.sessionId, first);
    exp += 7_200;
    clock.aheadMs += 3_631_000;
    await until("the stream is open again", () => party.faults.reconnects > 0);
    const second = await order();
    assert.equal((await events.next()).value?.sessionId, second);
  });
});

function nowSeconds(): number {
  return Math.floor(Date.now() / 1_000);
}

/** Sends one message to everybody, and acknowledges one of each of the others. */
async function oneRound(session: PartySession, others: number): Promise<void> {
  await session.broadcast({ payload: new Uint8Array([1]), round: 1, type: "round" });
  let received = 0;
  for await (const message of session.messages()) {
    await message.acknowledge();
    received += 1;
    if (received === others) return;
  }
}
