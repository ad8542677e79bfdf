import type { Caller } from "../domain/caller.ts";
import { isId } from "../domain/ids.ts";
import type { PartyRole } from "../domain/sessions/session.ts";
import { isPartyRole } from "./party-roles.ts";
import { unauthenticated } from "./refusal.ts";

/** What is kept of a coordinator's name, which goes into the record of each of its sessions. */
const maxNameCharacters = 256;

/**
 * Whom the claims of a verified token name: `role` says `party` or `coordinator`; a party is `sub`, and may register
 * what `party_role` says, a word or a list. The `sub` of a coordinator, in whatever form, tells it from others.
 */
export function callerOfClaims(claims: Readonly<Record<string, unknown>>): Caller {
  const { sub, role, party_role: roles } = claims;
  if (role === "coordinator") {
    return typeof sub === "string" && sub !== ""
      ? { kind: "coordinator", name: sub.slice(0, maxNameCharacters) }
      : { kind: "coordinator" };
  }
  if (role !== "party") throw unauthenticated("the token's role must be party or coordinator");
  if (typeof sub !== "string" || !isId(sub)) {
    throw unauthenticated("the token's sub must be a party id");
  }
  return roles === undefined
    ? { kind: "party", partyId: sub }
    : { kind: "party", partyId: sub, roles: rolesOf(roles) };
}

function rolesOf(claim: unknown): readonly PartyRole[] {
  const words: readonly unknown[] = Array.isArray(claim) ? claim : [claim];
  if (words.every(isPartyRole)) return words;
  throw unauthenticated("the token's party_role must be of persistent, delegate and temporary");
}
