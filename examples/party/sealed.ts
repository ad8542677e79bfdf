import { createClient, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { SessionCoordinator } from "../../gen/mpc/coordinator/v1/coordinator_pb.js";
import {
  connectParty,
  createIdentity,
  publicIdentity,
  sealSession,
  type Identity,
  type PublicIdentity,
} from "../../src/party/index.ts";

/** One party of a coin toss: it commits to a number, makes sure that nobody was shown another one, and opens it. */
async function play(
  party: { readonly transport: Transport; readonly partyId: string; readonly identity: Identity },
  peers: ReadonlyMap<string, PublicIdentity>,
): Promise<void> {
  const { transport, partyId, identity } = party;
  await using connection = await connectParty({ transport, partyId });
  const joined = await connection.join(await connection.nextSession());
  await using session = sealSession(joined, { identity, peers });
  await session.ready();

  const number = crypto.getRandomValues(new Uint8Array(32));
  await session.broadcast({ round: 1, type: "commit", payload: await hashOf(number) });
  await session.confirmBroadcasts(1);
  await session.broadcast({ round: 2, type: "open", payload: number });

  const commitments = new Map<string, Uint8Array>();
  const sum = Uint8Array.from(number);
  let missing = session.parties.length - 1;
  for await (const { from, type, payload } of session.messages()) {
    if (type === "commit") commitments.set(from, payload);
    if (type !== "open") continue;
    const hash = Buffer.from(await hashOf(payload));
    if (!hash.equals(commitments.get(from) ?? hash.subarray(1))) throw new Error(`${from} cheats`);
    for (const [index, byte] of payload.entries()) sum[index] = (sum[index] ?? 0) ^ byte;
    missing--;
    if (missing === 0) break;
  }
  await session.complete({ publicKey: sum });
  const { status } = await session.ended;
  process.stdout.write(`${partyId}: ${status}, all agree on ${Buffer.from(sum).toString("hex")}\n`);
}

async function hashOf(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", Uint8Array.from(bytes)));
}

const baseUrl = process.argv[2] ?? "http://127.0.0.1:8080";
const transports = [
  createGrpcTransport({ baseUrl }),
  createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
];
const suffix = Date.now();
const parties = ["alice", "bob", "carol"].map((name, index) => ({
  partyId: `${name}-${suffix}`,
  transport: transports[index % 2] ?? createGrpcTransport({ baseUrl }),
  identity: createIdentity(),
}));
// Out of band, so that the router need not be trusted with it: here it is one process.
const peers = new Map(parties.map(({ partyId, identity }) => [partyId, publicIdentity(identity)]));

const playing = Promise.all(parties.map((party) => play(party, peers)));
await createClient(SessionCoordinator, createGrpcTransport({ baseUrl })).createSession({
  sessionType: "keygen",
  thresholdN: 3,
  thresholdT: 2,
  selectedParties: parties.map(({ partyId }) => partyId),
});
await playing;
