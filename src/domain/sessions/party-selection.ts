import { createHash } from "node:crypto";
import { RouterError } from "../errors.ts";
import type { Party } from "../parties/party.ts";
import type { PartyRole } from "./session.ts";

export interface RoleCount {
  readonly role: PartyRole;
  readonly count: number;
}

export interface Selection {
  readonly counts: readonly RoleCount[];
  readonly registered: readonly Party[];
  /** Unix milliseconds at which each party was last seen. */
  readonly lastSeenAt: ReadonlyMap<string, number>;
  /** Only these may be chosen; absent: everybody. */
  readonly among?: ReadonlySet<string>;
  /** Parties in offline mode count too, since the session is long enough for them to be told. */
  readonly acceptsOffline: boolean;
  /** Seen since then counts as online, Unix milliseconds. */
  readonly onlineSince: number;
  /** Decides who is chosen among those that may be: the same seed, the same choice. */
  readonly seed: string;
}

/** Sessions of at least this long also take parties in offline mode, in milliseconds. */
export const offlineSessionMs = 3_600_000;

/** Chooses so many parties of each role, each of those that may be chosen with the same chance. */
export function selectParties(selection: Selection): readonly Party[] {
  const { counts, registered, seed } = selection;
  const ranked = registered
    .filter((party) => mayBeChosen(selection, party))
    .map((party) => ({ party, rank: rankOf(seed, party.partyId) }))
    .toSorted((a, b) => (a.rank < b.rank ? -1 : 1))
    .map(({ party }) => party);
  return counts.flatMap(({ role, count }) => {
    const chosen = ranked.filter((party) => party.role === role).slice(0, count);
    if (chosen.length === count) return chosen;
    throw new RouterError(
      "NOT_ENOUGH_PARTIES",
      `role_counts asks for ${count} parties of role ${role}, ${chosen.length} can be chosen`,
      { retryAfterMs: 1_000 },
    );
  });
}

function mayBeChosen(selection: Selection, party: Party): boolean {
  const { among, lastSeenAt, onlineSince, acceptsOffline } = selection;
  if (among !== undefined && !among.has(party.partyId)) return false;
  if (acceptsOffline && party.offlineMode) return true;
  const seenAt = Math.max(party.renewedAt, lastSeenAt.get(party.partyId) ?? 0);
  return seenAt > onlineSince;
}

/** As good as random for each seed, and evenly spread over the seeds. */
function rankOf(seed: string, partyId: string): string {
  return createHash("sha256").update(`${seed}.${partyId}`).digest("hex");
}
