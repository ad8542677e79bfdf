import { hexOf } from "./bytes.ts";

/** A party of this page: its id at the router, and what people call it. */
export interface CastMember {
  readonly partyId: string;
  readonly name: string;
}

const words = ["alice", "bob", "carol", "dave", "erin"];

/** As many as the page has room for. */
export const mostParties: number = words.length;

/** Registrations outlive a page, so each page has parties of its own. */
export function newPartyIds(): readonly string[] {
  const suffix = hexOf(crypto.getRandomValues(new Uint8Array(4)));
  return words.map((word) => `${word}-${suffix}`);
}

/** Each by a word, where that tells them apart. */
export function membersOf(partyIds: readonly string[]): readonly CastMember[] {
  const names = partyIds.map((partyId) => nameIn(partyId));
  const isClear = new Set(names).size === names.length;
  return partyIds.map((partyId, index) => ({
    partyId,
    name: isClear ? (names[index] ?? partyId) : partyId,
  }));
}

/** "carol-1a2b3c4d" is Carol. */
export function nameIn(partyId: string): string {
  const [word = ""] = partyId.split("-");
  return word === "" ? partyId : word.charAt(0).toUpperCase() + word.slice(1);
}
