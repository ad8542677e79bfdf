import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import type { Protocol } from "../../examples/ceremony/party-messages.ts";
import { PartySessions } from "../../examples/ceremony/party-sessions.ts";
import { createPartyTransport } from "../../examples/ceremony/party-transport.ts";
import { SessionCoordinator, type Session } from "../../gen/mpc/coordinator/v1/coordinator_pb.js";
import {
  connectParty,
  createIdentity,
  exportPublicIdentity,
  importPublicIdentity,
  type Identity,
} from "../../src/party/index.ts";
import { until } from "../support/until.ts";
import { drawsOf } from "./draws.ts";
import { rest } from "./rest.ts";
import { startVictim, type Moment } from "./victim.ts";
import { EndWatch } from "./workload/end-watch.ts";

const protocols: readonly Protocol[] = ["grpc-web", "connect-json"];

/** How long the router has for the end after the expiry, and then for another end by mistake. */
const graceMs = 5_000;
const afterMs = 1_000;

export interface DesertedPlan {
  readonly url: string;
  /** Makes ids of its own. */
  readonly name: string;
  readonly moment: Moment;
  readonly expiresInMs: number;
}

export interface DesertedSession {
  readonly victimId: string;
  /** As it reads after its end. */
  readonly session: Session;
  readonly terminalEvents: readonly string[];
  /** From the time of its expiry to when its end was heard of. */
  readonly heardAfterMs: number;
}

interface Survivor {
  readonly partyId: string;
  readonly protocol: Protocol;
  readonly identity: Identity;
  readonly sessions: PartySessions;
}

/** A key generation whose third party is killed at that moment. The two others are parties in this process. */
export async function runDesertedSession(plan: DesertedPlan): Promise<DesertedSession> {
  const { url, name, moment, expiresInMs } = plan;
  const stop = new AbortController();
  const victimId = `${name}-victim`;
  const settings = { url, partyId: victimId, protocol: "grpc" as const, pauseMs: 0 };
  await using victim = await startVictim(settings, moment);
  const survivors = survivorsOf(plan);
  acquaint(survivors, { partyId: victimId, publicKey: victim.publicKey });
  const parties = survivors.map((survivor) => playUntil(survivor, url, stop.signal));
  await victim.introduce(Object.fromEntries(survivors.map(shownKey)));

  const baseUrl = url;
  const coordinator = createClient(
    SessionCoordinator,
    createConnectTransport({ baseUrl, httpVersion: "1.1" }),
  );
  const created = await coordinator.createSession({
    sessionType: "keygen",
    thresholdN: 3,
    thresholdT: 2,
    selectedParties: [...survivors.map(({ partyId }) => partyId), victimId],
    expiresInMs: BigInt(expiresInMs),
  });
  const sessionId = created.session?.sessionId ?? "";
  const [first] = survivors;
  const watch = new EndWatch({
    urls: [url],
    random: drawsOf(0, name),
    partyId: first?.partyId ?? "",
  });
  const watching = watch.watchUntil(stop.signal);
  await victim.killed;
  const hasEnded = (): boolean => watch.endsOf(sessionId).length > 0;
  await until(`${name} ends`, hasEnded, expiresInMs + graceMs);
  const heardAfterMs = Date.now() - Number(created.session?.expiresAt ?? 0n);
  await rest(afterMs, stop.signal);
  const { session } = await coordinator.getSession({ sessionId });
  stop.abort();
  await Promise.all([watching, ...parties]);
  if (session === undefined) throw new Error("the router has lost the session");
  return { victimId, session, terminalEvents: watch.endsOf(sessionId), heardAfterMs };
}

function survivorsOf({ url, name }: DesertedPlan): readonly Survivor[] {
  return protocols.map((protocol, index) => {
    const partyId = `${name}-p${index}`;
    // Slower than the victim, which then always is where it is meant to be.
    const settings = { url, partyId, protocol, pauseMs: 300 };
    const identity = createIdentity();
    const sessions = new PartySessions({ settings, identity, tell: () => undefined });
    return { partyId, protocol, identity, sessions };
  });
}

function acquaint(
  survivors: readonly Survivor[],
  victim: { readonly partyId: string; readonly publicKey: string },
): void {
  for (const one of survivors) {
    one.sessions.pin(victim.partyId, importPublicIdentity(Buffer.from(victim.publicKey, "base64")));
    for (const other of survivors) {
      if (other !== one) one.sessions.pin(other.partyId, other.identity.public);
    }
  }
}

function shownKey({ partyId, identity }: Survivor): readonly [string, string] {
  return [partyId, Buffer.from(exportPublicIdentity(identity.public)).toString("base64")];
}

async function playUntil(survivor: Survivor, url: string, signal: AbortSignal): Promise<void> {
  const { partyId, protocol, sessions } = survivor;
  const transport = createPartyTransport(url, protocol, []);
  try {
    await using party = await connectParty({ transport, partyId, signal });
    await sessions.takePart(party, await party.nextSession(), signal);
  } catch {
    // A session with a dead party fails whoever takes part in it; how it ended is asked of the router.
  }
}
