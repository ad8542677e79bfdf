import { RouterLink, createPartyTransport } from "./router-link.ts";
import type { Finished, FromParty, PartySettings, ToParty } from "./party-messages.ts";
import { PartySessions } from "./party-sessions.ts";
import { createIdentity, exportPeerKey, importPeerKey } from "./sealing.ts";
import { nextInvitation } from "./session-events.ts";

/** One party of the ceremony, a process of its own; the main process starts it and talks to it over IPC. */
async function runParty(settings: PartySettings, signal: AbortSignal): Promise<void> {
  const { url, protocol, partyId } = settings;
  const link = new RouterLink(
    createPartyTransport(url, protocol),
    (message) => tell({ kind: "trouble", message }),
    signal,
  );
  const identity = await createIdentity();
  const sessions = new PartySessions(link, { settings, identity, tell });

  const introduced = Promise.withResolvers<void>();
  process.on("message", (order: ToParty) => {
    void obey(order).catch(introduced.reject);
  });
  async function obey(order: ToParty): Promise<void> {
    if (order.kind === "approve") {
      sessions.approve(order.messageHash, order.keygenSessionId);
      tell({ kind: "approved", messageHash: order.messageHash });
      return;
    }
    for (const [peerId, key] of Object.entries(order.keys)) {
      sessions.pin(peerId, await importPeerKey(key));
    }
    introduced.resolve();
  }
  tell({ kind: "up", publicKey: await exportPeerKey(identity.publicKey) });
  await introduced.promise;

  const registration = { partyId, partyRole: "persistent", version: "ceremony/1" };
  await link.call(async (options) => link.api.registerParty(registration, options));
  tell({ kind: "registered" });
  for (;;) {
    const invitation = await nextInvitation(link, { partyId, known: sessions.known }, signal);
    const finished: Finished = await sessions.takePart(invitation, signal);
    tell(finished);
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
