import { once } from "node:events";
import { connectParty } from "../../../src/party/index.ts";
import { partyTransport, type PartyProtocol } from "../../support/parties.ts";

/** A party process that closes while it reads, waits, sends and listens, and then has nothing more to do. */
const [, , url = "", protocol = "Connect"] = process.argv;
const transport = partyTransport(protocol as PartyProtocol, url);
const party = await connectParty({ transport, partyId: "alice", streams: "many" });
const session = await party.join(await party.nextSession());
const message = { round: 1, type: "text", payload: new Uint8Array(10) };
await session.broadcast(message);
const waits = [
  session.messages().next(),
  session.ready(),
  session.ended,
  party.nextSession(),
  party.events({ types: ["none"] }).next(),
];
const settled = Promise.allSettled(waits);
process.stdout.write("here\n");
await once(process.stdin, "data");
process.stdin.destroy();
const sending = session.send("bob", message).catch(() => undefined);
const startedAt = performance.now();
await party.close();
await Promise.all([settled, sending]);
const elapsedMs = Math.round(performance.now() - startedAt);
const left = process.getActiveResourcesInfo().filter((name) => name === "Timeout");
process.stdout.write(`closed after ${elapsedMs} ms, left: ${JSON.stringify(left)}\n`);
