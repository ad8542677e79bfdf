import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { SessionCoordinator } from "../../gen/mpc/coordinator/v1/coordinator_pb.js";
import { connectParty } from "../../src/party/index.ts";

const transport = createGrpcTransport({ baseUrl: process.argv[2] ?? "http://127.0.0.1:8080" });
await using alice = await connectParty({ transport, partyId: "alice" });
await using bob = await connectParty({ transport, partyId: "bob" });
const pair = { sessionType: "keygen", thresholdN: 2, thresholdT: 2 };
const order = { ...pair, selectedParties: ["alice", "bob"] };
const { session } = await createClient(SessionCoordinator, transport).createSession(order);

const atAlice = await alice.join(await alice.nextSession({ sessionId: session?.sessionId }));
const atBob = await bob.join(await bob.nextSession({ sessionId: session?.sessionId }));
await atAlice.send("bob", { round: 1, type: "hello", payload: Buffer.from("Hello, Bob.") });
const { value: message } = await atBob.messages().next();
process.stdout.write(`${message?.from}: ${Buffer.from(message?.payload ?? []).toString()}\n`);
