import { BoundedMap } from "../bounded-map.ts";
import { actingParty, requireAllowedRole, type Caller } from "../caller.ts";
import type { Clock } from "../clock.ts";
import { RouterError } from "../errors.ts";
import { limits, requireId, requireText } from "../ids.ts";
import { requireRole } from "../sessions/session-shape.ts";
import type { ContactBook } from "./contact-book.ts";
import { hasChannel, noChannel, requireContactForm } from "./contact-form.ts";
import type {
  NotificationChannel,
  Party,
  PartySessions,
  PartyStore,
  PendingCounter,
  Presence,
} from "./party.ts";

/** What a party says of itself. */
export interface Registration {
  readonly partyId: string;
  readonly role: string;
  readonly version: string;
  readonly channel: NotificationChannel;
}

/** A registered party as a caller may see it. */
export interface PartyView {
  readonly party: Party;
  readonly online: boolean;
  /** Unix milliseconds. */
  readonly lastSeenAt: number;
  /** All empty when the caller may not see it, or there is none. */
  readonly channel: NotificationChannel;
}

interface PartyFilter {
  /** Empty: all roles. */
  readonly role: string;
  readonly onlyOnline: boolean;
}

export interface PartyRegistry {
  /** Registers the party or renews its registration; durable when it resolves. */
  register(caller: Caller, registration: Registration): Promise<Party>;
  /** Notes a sign of life and resolves with the number of messages that wait in live sessions. */
  heartbeat(
    caller: Caller,
    partyId: string,
  ): Promise<{ readonly serverTimestamp: number; readonly pendingMessages: number }>;
  /** Registered parties by id: all of them for the control plane, else those of the caller's live sessions. */
  list(caller: Caller, filter: PartyFilter): Promise<readonly PartyView[]>;
  isRegistered(partyId: string): Promise<boolean>;
}

export interface PartyRegistryDeps {
  readonly parties: PartyStore;
  readonly presence: Presence;
  readonly contacts: ContactBook;
  readonly sessions: Pick<PartySessions, "liveSessionsOf">;
  readonly pending: PendingCounter;
  readonly clock: Clock;
  /** Time without a sign of life after which a party is offline, in milliseconds. */
  readonly presenceTimeoutMs: number;
}

/** Parties remembered as registered, which they stay for ever. */
const maxRemembered = 100_000;
/** Registrations read one by one; of more than this many, all are read at once. */
const maxSingleReads = 100;
const parallelOpens = 64;

export function createPartyRegistry(deps: PartyRegistryDeps): PartyRegistry {
  const { parties, presence, contacts, sessions, pending, clock } = deps;
  const registered = new BoundedMap<string, true>(maxRemembered);

  const isRegistered = async (partyId: string): Promise<boolean> => {
    if (registered.has(partyId)) return true;
    const found = (await parties.read(partyId)) !== undefined;
    if (found) registered.set(partyId, true);
    return found;
  };
  return {
    isRegistered,
    async register(caller, registration) {
      const { channel, version } = registration;
      const partyId = actingParty(caller, requireId("party_id", registration.partyId));
      const role = requireRole("party_role", registration.role);
      requireAllowedRole(caller, role);
      requireText("version", version, limits.versionBytes);
      requireContactForm(channel);
      const offlineMode = hasChannel(channel);
      // A registration that says there are contacts must have some, whenever a crash comes.
      if (offlineMode) await contacts.keep(partyId, channel);
      const now = clock.nowMs();
      const party = await parties.upsert(partyId, (known) => ({
        partyId,
        role,
        version,
        offlineMode,
        registeredAt: known?.registeredAt ?? now,
        renewedAt: now,
      }));
      if (!offlineMode) await contacts.keep(partyId, channel);
      await presence.seen(partyId);
      registered.set(partyId, true);
      return party;
    },
    async heartbeat(caller, namedPartyId) {
      const partyId = actingParty(caller, requireId("party_id", namedPartyId));
      if (!(await isRegistered(partyId))) {
        throw new RouterError("PARTY_NOT_FOUND", "party_id names no registered party");
      }
      const [, live] = await Promise.all([
        presence.seen(partyId),
        sessions.liveSessionsOf(partyId),
      ]);
      const sessionIds = live.map((record) => record.sessionId);
      const pendingMessages =
        sessionIds.length === 0 ? 0 : await pending.count(partyId, sessionIds);
      return { serverTimestamp: clock.nowMs(), pendingMessages };
    },
    async list(caller, filter) {
      const role = filter.role === "" ? undefined : requireRole("role_filter", filter.role);
      const known = await registrationsFor(caller, deps);
      const found = known.filter((party) => role === undefined || party.role === role);
      const seen = await presence.lastSeenAt(found.map((party) => party.partyId));
      const views = found.map((party) => viewOf(party, seen.get(party.partyId) ?? 0, deps));
      const wanted = views
        .filter((view) => view.online || !filter.onlyOnline)
        .toSorted((a, b) => (a.party.partyId < b.party.partyId ? -1 : 1));
      return caller.kind === "party" ? wanted : withChannels(wanted, contacts);
    },
  };
}

/** Reads no more registrations than the caller may see. */
async function registrationsFor(
  caller: Caller,
  { parties, sessions }: PartyRegistryDeps,
): Promise<readonly Party[]> {
  if (caller.kind !== "party") return parties.all();
  const live = await sessions.liveSessionsOf(caller.partyId);
  const roster = new Set(live.flatMap((record) => record.parties.map((party) => party.partyId)));
  if (roster.size > maxSingleReads) {
    return (await parties.all()).filter((party) => roster.has(party.partyId));
  }
  const found = await Promise.all([...roster].map((partyId) => parties.read(partyId)));
  return found.filter((party) => party !== undefined);
}

function viewOf(
  party: Party,
  seenAt: number,
  { clock, presenceTimeoutMs }: PartyRegistryDeps,
): PartyView {
  const lastSeenAt = Math.max(seenAt, party.renewedAt);
  const online = clock.nowMs() - lastSeenAt < presenceTimeoutMs;
  return { party, online, lastSeenAt, channel: noChannel };
}

async function withChannels(
  views: readonly PartyView[],
  contacts: ContactBook,
): Promise<readonly PartyView[]> {
  const opened: PartyView[] = [];
  for (let done = 0; done < views.length; done += parallelOpens) {
    const some = views.slice(done, done + parallelOpens).map(async (view) => {
      if (!view.party.offlineMode) return view;
      return { ...view, channel: await contacts.open(view.party.partyId) };
    });
    opened.push(...(await Promise.all(some)));
  }
  return opened;
}
