import type { Party } from "../parties/party.ts";
import type { CoordinatorOptions } from "./coordinator-options.ts";
import type { CheckedRequest } from "./create-request.ts";
import { offlineSessionMs, selectParties } from "./party-selection.ts";
import type { PartyRole, SessionRecord } from "./session.ts";

/** The parties of a session that is about to be created. */
export interface ChosenParties {
  readonly partyIds: readonly string[];
  /** As registered now, else temporary. */
  readonly roleOf: (partyId: string) => PartyRole;
  /** Whether one of them need not be connected. */
  readonly hasOffline: boolean;
}

export type RosterOptions = Pick<
  CoordinatorOptions,
  "parties" | "presence" | "clock" | "presenceTimeoutMs" | "defaultTtlMs"
>;

/** Lifetime of a session with a party in offline mode whose creator names none: 24 hours, in milliseconds. */
const offlineTtlMs = 24 * 3_600_000;

export interface ChoiceContext {
  /** Only parties of this session may be chosen, when there is one. */
  readonly keygen: SessionRecord | undefined;
  readonly seed: string;
}

/** The parties that the request names, or as many of each role as it asks for. */
export async function chooseParties(
  request: CheckedRequest,
  { keygen, seed }: ChoiceContext,
  options: RosterOptions,
): Promise<ChosenParties> {
  if (request.selectedParties.length > 0) return partiesNamed(request.selectedParties, options);
  const registered = await options.parties.all();
  const ids = registered.map((party) => party.partyId);
  const chosen = selectParties({
    counts: request.roleCounts,
    registered,
    lastSeenAt: await options.presence.lastSeenAt(ids),
    ...(keygen === undefined
      ? {}
      : { among: new Set(keygen.parties.map((party) => party.partyId)) }),
    acceptsOffline: (request.expiresInMs || options.defaultTtlMs) >= offlineSessionMs,
    onlineSince: options.clock.nowMs() - options.presenceTimeoutMs,
    seed,
  });
  return chosenParties(
    chosen.map((party) => party.partyId),
    chosen,
  );
}

/** These parties, registered or not. */
export async function partiesNamed(
  partyIds: readonly string[],
  { parties }: RosterOptions,
): Promise<ChosenParties> {
  const found = await Promise.all(partyIds.map((partyId) => parties.read(partyId)));
  return chosenParties(
    partyIds,
    found.filter((party) => party !== undefined),
  );
}

export function defaultTtlMs(parties: ChosenParties, options: RosterOptions): number {
  return parties.hasOffline ? Math.max(options.defaultTtlMs, offlineTtlMs) : options.defaultTtlMs;
}

function chosenParties(partyIds: readonly string[], registered: readonly Party[]): ChosenParties {
  const roles = new Map(registered.map((party) => [party.partyId, party.role]));
  return {
    partyIds,
    roleOf: (partyId) => roles.get(partyId) ?? "temporary",
    hasOffline: registered.some((party) => party.offlineMode),
  };
}
