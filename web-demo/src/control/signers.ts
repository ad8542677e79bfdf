import type { PartyState } from "../model/state.ts";

/**
 * Who signs: parties in other tabs first, since their users want to be asked; then whoever is online, others each time.
 * A party that is cut off, or has no share, is the last choice. In the order of the parties.
 */
export function pickSigners(
  parties: readonly PartyState[],
  count: number,
  turn: number,
): readonly string[] {
  const start = turn % parties.length;
  const turned = [...parties.slice(start), ...parties.slice(0, start)];
  const chosen = turned.toSorted((a, b) => rank(a) - rank(b)).slice(0, count);
  return parties.filter((party) => chosen.includes(party)).map((party) => party.id);
}

function rank(party: PartyState): number {
  if (party.isOffline || !party.hasShare) return 2;
  return party.place === "elsewhere" ? 0 : 1;
}
