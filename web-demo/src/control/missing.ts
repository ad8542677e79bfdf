import type { WantedTokens } from "../model/state.ts";
import { keyOf, type Token } from "./tokens.ts";

/** Whom there is no token of. */
interface Missing {
  readonly coordinator: boolean;
  readonly parties: readonly string[];
  /** So many parties more. */
  readonly moreParties: number;
}

/** What is wanted and is not among the tokens; `undefined`: nothing. */
export function missingOf(wanted: WantedTokens, tokens: readonly Token[]): Missing | undefined {
  const holders = new Set(tokens.map(({ holder }) => keyOf(holder)));
  const partyCount = [...holders].filter((key) => key !== keyOf({ kind: "coordinator" })).length;
  const missing = {
    coordinator: wanted.coordinator && !holders.has(keyOf({ kind: "coordinator" })),
    parties: wanted.parties.filter((partyId) => !holders.has(partyId)),
    moreParties: Math.max(0, wanted.leastParties - partyCount),
  };
  const isComplete =
    !missing.coordinator && missing.parties.length === 0 && missing.moreParties === 0;
  return isComplete ? undefined : missing;
}

/** Commands that issue the missing tokens, a line each; where it does not matter who more parties are, of those ids. */
export function commandsFor(missing: Missing, newPartyIds: readonly string[]): string {
  const issue = "node src/main.ts token issue --key=dev.jwk";
  const parties = [...missing.parties, ...(missing.moreParties > 0 ? newPartyIds : [])];
  return [
    ...(missing.coordinator ? [`${issue} --coordinator`] : []),
    ...parties.map((partyId) => `${issue} --party=${partyId}`),
  ].join("\n");
}

/** The ids that are left when parties with tokens of their own take the places of some. */
export function leftOf(partyIds: readonly string[], tokens: readonly Token[]): readonly string[] {
  const there = new Set(
    tokens.flatMap(({ holder }) => (holder.kind === "party" ? [holder.partyId] : [])),
  );
  const left = partyIds.filter((partyId) => !there.has(partyId));
  return left.slice(0, Math.max(0, partyIds.length - there.size));
}
