import {
  connectParty,
  createIdentity,
  exportPublicIdentity,
  importPublicIdentity,
} from "../../src/party/index.ts";
import type { FromParty, PartySettings, ToParty } from "./party-messages.ts";
import { PartySessions } from "./party-sessions.ts";
import { createPartyTransport } from "./party-transport.ts";
import { tapTraffic } from "./traffic-tap.ts";

const version = "ceremony/1";

/** One party of the ceremony, a process of its own; the main process starts it and talks to it over IPC. */
async function runParty(settings: PartySettings, signal: AbortSignal): Promise<void> {
  const { url, protocol, partyId } = settings;
  const identity = createIdentity();
  const sessions = new PartySessions({ settings, identity, tell });
  const introduced = Promise.withResolvers<string | undefined>();
  process.on("message", (order: ToParty) => {
    if (order.kind === "approve") {
      sessions.approve(order.messageHash, order.keygenSessionId);
      tell({ kind: "approved", messageHash: order.messageHash });
      return;
    }
    for (const [peerId, keys] of Object.entries(order.keys)) {
      sessions.pin(peerId, importPublicIdentity(Buffer.from(keys, "base64")));
    }
    introduced.resolve(order.token);
  });
  const shown = Buffer.from(exportPublicIdentity(identity.public));
  tell({ kind: "up", publicKey: shown.toString("base64") });
  const token = await introduced.promise;

  await using party = await connectParty({
    transport: createPartyTransport(url, protocol, [tapTraffic(tell)]),
    partyId,
    role: "persistent",
    version,
    device: {
      deviceType: "server",
      deviceId: partyId,
      platform: process.platform,
      appVersion: version,
    },
    signal,
    ...(token === undefined ? {} : { token: () => token }),
    onState: (_, cause) => tell({ kind: "trouble", message: cause?.message ?? "" }),
  });
  tell({ kind: "registered" });
  for await (const invitation of party.sessions()) {
    tell(await sessions.takePart(party, invitation, signal));
  }
}

function tell(news: FromParty): void {
  // Without a main process nobody listens, and the process is about to end.
  if (process.connected) process.send?.(news);
}

/**
 * connect-node 2.2 raises the end of an idle HTTP/2 connection (GOAWAY, when a router stops) as an uncaught exception
 * if a new call comes in at that moment (connect-es issue 1768). The call itself opens a new connection.
 */
function isLateGoAway(error: unknown): boolean {
  return (
    error instanceof Error && error.message.includes("received GOAWAY without any open streams")
  );
}

process.on("uncaughtException", (error) => {
  if (isLateGoAway(error)) return;
  tell({ kind: "failed", message: error.stack ?? error.message });
  process.exitCode = 1;
  process.disconnect?.();
});

const stop = new AbortController();
process.on("disconnect", () => stop.abort());
// A terminal sends its interrupt to every process of the group; the main process ends the parties in order.
process.on("SIGINT", () => undefined);

const settings = JSON.parse(process.argv[2] ?? "{}") as PartySettings;
try {
  await runParty(settings, stop.signal);
} catch (error) {
  if (!stop.signal.aborted) {
    tell({ kind: "failed", message: error instanceof Error ? error.message : String(error) });
    process.exitCode = 1;
  }
}
if (process.connected) process.disconnect();
