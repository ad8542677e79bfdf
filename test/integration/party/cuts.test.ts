import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  createIdentity,
  sealSession,
  type Identity,
  type Party,
  type PartyFaults,
  type PartySession,
  type ReceivedMessage,
} from "../../../src/party/index.ts";
import { startFleet } from "../../support/fleet.ts";
import {
  disturb,
  seededRandom,
  startFlakyProxy,
  type FlakyProxy,
} from "../../support/flaky-proxy.ts";
import { connectParties, orderSession } from "../../support/parties.ts";
import { startRouter } from "../../support/router.ts";
import { until } from "../../support/until.ts";

/** How often connections are cut; the long run is `PARTY_TEST_CUTS=200`. */
const cuts = Number(process.env["PARTY_TEST_CUTS"] ?? 20);
const seed = Number(process.env["PARTY_TEST_SEED"] ?? 7);

const rounds = 5;

/** Three parties over three protocols, each behind a proxy of its own that spreads connections over all routers. */
interface Rig extends AsyncDisposable {
  /** Of a router, past the proxies: for the wallet. */
  readonly url: string;
  readonly proxies: readonly FlakyProxy[];
  readonly parties: readonly Party[];
  readonly identities: ReadonlyMap<string, Identity>;
  /** Messages handed out so far. */
  readonly progress: { handed: number };
}

async function setup(...ports: readonly number[]): Promise<Rig> {
  await using resources = new AsyncDisposableStack();
  const proxies: FlakyProxy[] = [];
  for (let count = 0; count < 3; count++) {
    proxies.push(resources.use(await startFlakyProxy(...ports)));
  }
  const parties = await connectParties(proxies.map(({ url }) => ({ url, heartbeatMs: 1_000 })));
  for (const party of parties) resources.use(party);
  const held = resources.move();
  return {
    url: `http://127.0.0.1:${ports[0]}`,
    proxies,
    parties,
    identities: new Map(parties.map(({ partyId }) => [partyId, createIdentity()])),
    progress: { handed: 0 },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** What one party sends to another in a session, in order: a broadcast and a message of its own each round. */
function expectedFrom(sender: string, recipient: string): readonly string[] {
  return Array.from({ length: rounds }, (_, round) => [
    `${sender} all ${round}`,
    `${sender} ${recipient} ${round}`,
  ]).flat();
}

async function sendAll(session: PartySession, others: readonly string[]): Promise<void> {
  const { partyId } = session;
  for (let round = 0; round < rounds; round++) {
    const message = (text: string): { round: number; type: string; payload: Uint8Array } => ({
      round,
      type: "test",
      payload: Buffer.from(text.padEnd(round * 3_000, ".")),
    });
    await session.broadcast(message(`${partyId} all ${round}`));
    for (const other of others) await session.send(other, message(`${partyId} ${other} ${round}`));
  }
}

/** The texts of each other party in the order they were handed out. */
async function receiveAll(
  session: PartySession,
  others: readonly string[],
  progress: Rig["progress"],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const got = new Map<string, string[]>(others.map((other) => [other, []]));
  let missing = others.length * rounds * 2;
  for await (const message of session.messages()) {
    got.get(message.from)?.push(textOf(message));
    progress.handed++;
    missing--;
    if (missing === 0) break;
  }
  return got;
}

function textOf({ payload }: ReceivedMessage): string {
  return Buffer.from(payload).toString().replace(/\.+$/, "");
}

/** One party's part of one session, from the invitation to its end: nothing may be missing, double or out of order. */
async function takePart(rig: Rig, party: Party, order: { sessionId: string; isSealed: boolean }) {
  const { identities, progress } = rig;
  const identity = identities.get(party.partyId);
  assert.ok(identity);
  const others = [...identities.keys()].filter((partyId) => partyId !== party.partyId);
  const peers = new Map([...identities].map(([partyId, one]) => [partyId, one.public]));
  await using joined = await party.join(await party.nextSession(order));
  const sealed = sealSession(joined, { identity, peers });
  const session = order.isSealed ? sealed : joined;
  await session.ready();
  const [got] = await Promise.all([
    receiveAll(session, others, progress),
    sendAll(session, others),
  ]);
  for (const [sender, texts] of got) {
    assert.deepEqual(texts, expectedFrom(sender, party.partyId));
  }
  if (order.isSealed) await sealed.confirmBroadcasts(rounds - 1);
  await session.complete({ publicKey: new Uint8Array(32).fill(1) });
  assert.deepEqual(await session.ended, { status: "completed" });
}

async function runSession(rig: Rig, isSealed = false): Promise<void> {
  const { sessionId } = await orderSession(rig.url, rig.parties);
  await Promise.all(rig.parties.map((party) => takePart(rig, party, { sessionId, isSealed })));
}

function total(parties: readonly Party[], pick: keyof PartyFaults): number {
  return parties.reduce((sum, { faults }) => sum + faults[pick], 0);
}

describe("parties whose connections are cut", () => {
  it(`lose nothing, get nothing twice, and in order, through ${cuts} cuts`, async (t) => {
    await using fleet = await startFleet("two routers and all protocols");
    await using rig = await setup(...fleet.routers.map(({ address }) => address.port));
    const { proxies, parties, progress } = rig;
    const stop = new AbortController();
    const disturbing = disturb(proxies, seededRandom(seed), stop.signal);
    const made = (): number => proxies.reduce((sum, { cutCount }) => sum + cutCount, 0);
    let sessions = 0;
    try {
      while (made() < cuts || sessions < 2) await runSession(rig, sessions++ % 2 === 1);
    } finally {
      stop.abort();
      await disturbing;
    }
    t.diagnostic(
      `${made()} cuts in ${sessions} sessions: ${progress.handed} messages handed out, ` +
        `${total(parties, "retries")} calls repeated, ${total(parties, "reconnects")} streams ` +
        `reopened, ${total(parties, "duplicates")} copies dropped`,
    );
    assert.equal(progress.handed, sessions * 3 * 2 * rounds * 2);
  });

  it("finish when the router is killed and started again in the middle", async () => {
    await using router = await startRouter();
    await using rig = await setup(router.port);
    const running = runSession(rig);
    await until("the session is under way", () => rig.progress.handed > 5);
    await router.kill("SIGKILL");
    await router.restart();
    await running;
    assert.equal(rig.progress.handed, 3 * 2 * rounds * 2);
  });
});
