/** All that a party needs to run in another tab, or on another device. */
export interface MovedParty {
  readonly partyId: string;
  /** Its secret keys. */
  readonly identity: Uint8Array;
  /** Public keys of the others, by party id. */
  readonly peers: ReadonlyMap<string, Uint8Array>;
  /** Its credential for the router, where one is asked for. */
  readonly token?: string | undefined;
}

/**
 * A link that carries a party. What is secret stands behind the `#`: browsers never send that to a server. Whoever has the
 * link is the party.
 */
export function linkOf(party: MovedParty, base: string): string {
  const url = new URL(base);
  url.search = new URLSearchParams({ party: party.partyId }).toString();
  const fragment = new URLSearchParams({ k: encode(party.identity) });
  for (const [partyId, key] of party.peers) fragment.append("p", `${partyId}.${encode(key)}`);
  if (party.token !== undefined) fragment.set("token", party.token);
  url.hash = fragment.toString();
  return url.href;
}

/** `undefined`: the address names no party. Throws when it names one without its keys. */
export function partyOf(address: string): MovedParty | undefined {
  const url = new URL(address);
  const partyId = url.searchParams.get("party");
  if (partyId === null) return undefined;
  const fragment = new URLSearchParams(url.hash.slice(1));
  const peers = fragment.getAll("p").map((text): [string, Uint8Array] => {
    const [peerId = "", key = ""] = text.split(".");
    return [peerId, keyBytes(key)];
  });
  return {
    partyId,
    identity: keyBytes(fragment.get("k") ?? ""),
    peers: new Map(peers),
    token: fragment.get("token") ?? undefined,
  };
}

const identityBytes = 64;

function keyBytes(text: string): Uint8Array {
  const bytes = decode(text);
  if (bytes.length !== identityBytes) throw new RangeError("the link is not complete");
  return bytes;
}

function encode(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

function decode(text: string): Uint8Array {
  try {
    const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(binary, (character) => character.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}
