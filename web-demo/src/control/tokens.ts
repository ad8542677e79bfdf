/** Whose a token is: the coordinator's, or a party's by its id. */
export type Holder =
  { readonly kind: "coordinator" } | { readonly kind: "party"; readonly partyId: string };

/** A token as its own claims describe it. They are read, not verified: that is the router's part. */
export interface Token {
  readonly text: string;
  readonly holder: Holder;
  /** Unix milliseconds. */
  readonly expiresAtMs: number;
}

/** What stands in a text, a token a line. */
export interface ReadTokens {
  /** The last one of each holder. */
  readonly tokens: readonly Token[];
  /** Numbers of the lines, from 1, that hold something else. */
  readonly otherLines: readonly number[];
}

export function readTokens(text: string): ReadTokens {
  const lines = text.split("\n").map((line) => line.trim().replace(/^Bearer +/i, ""));
  const read = lines.map((line) => tokenOf(line));
  const tokens = read.filter((token) => token !== undefined);
  return {
    tokens: [...new Map(tokens.map((token) => [keyOf(token.holder), token])).values()],
    otherLines: lines.flatMap((line, index) =>
      line === "" || read[index] !== undefined ? [] : [index + 1],
    ),
  };
}

/** `undefined`: not a token that names a coordinator or a party. */
export function tokenOf(text: string): Token | undefined {
  const { role, sub, exp } = claimsOf(text);
  if (typeof exp !== "number") return undefined;
  const expiresAtMs = exp * 1_000;
  if (role === "coordinator") return { text, holder: { kind: "coordinator" }, expiresAtMs };
  if (role !== "party" || typeof sub !== "string" || sub === "") return undefined;
  return { text, holder: { kind: "party", partyId: sub }, expiresAtMs };
}

/** A name for maps; no party id has a space. */
export function keyOf(holder: Holder): string {
  return holder.kind === "party" ? holder.partyId : "the coordinator";
}

function claimsOf(text: string): Readonly<Record<string, unknown>> {
  const [, payload = ""] = /^[\w-]+\.([\w-]+)\.[\w-]+$/.exec(text) ?? [];
  try {
    const binary = atob(payload.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof claims === "object" && claims !== null ? { ...claims } : {};
  } catch {
    // Whatever it is, it names nobody.
    return {};
  }
}
