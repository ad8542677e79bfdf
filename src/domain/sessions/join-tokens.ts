import { createHash, timingSafeEqual } from "node:crypto";
import type { Keyring } from "../secrets/keyring.ts";
import type { Vault } from "../secrets/vault.ts";
import { requestSecretId } from "./session-secrets.ts";
import { seatOf, type SessionParty, type SessionRecord } from "./session.ts";

/** The tokens that let a party into its session. */
export interface JoinTokens {
  /** The party's own token; `undefined`: it has none, or it is erased. */
  tokenOf(record: SessionRecord, partyId: string): Promise<string | undefined>;
  /** Whether this is the party's token. Takes the same time whatever is wrong with it. */
  admits(record: SessionRecord, partyId: string, token: string): Promise<boolean>;
  /** All derived tokens of a session, by party. */
  derivedTokens(record: SessionRecord): ReadonlyMap<string, string>;
}

export function createJoinTokens(keyring: Keyring, vault: Vault): JoinTokens {
  const derive = (record: SessionRecord, party: SessionParty): string => {
    const { sessionId, keyId, userPublicKey } = record;
    const { partyId, role } = party;
    // The contract has no field that could bring the user's key to the delegate, so the token carries it.
    if (userPublicKey === undefined || role !== "delegate") {
      return `mpcj_${keyring.mac(keyId, "join-token", sessionId, partyId).toString("base64url")}`;
    }
    const userKey = Buffer.from(userPublicKey).toString("base64url");
    const secret = keyring.mac(keyId, "join-token", sessionId, partyId, userKey);
    return `mpcj_${secret.toString("base64url")}.${userKey}`;
  };
  // Sessions of a key that was taken from the key file before they ended cannot be joined any more.
  const hasKey = (record: SessionRecord): boolean => keyring.keyIds.includes(record.keyId);

  const tokenOf = async (record: SessionRecord, partyId: string): Promise<string | undefined> => {
    const party = seatOf(record, partyId);
    if (party === undefined) return undefined;
    if (record.tokens === "derived") return hasKey(record) ? derive(record, party) : undefined;
    const stored = await vault.get("tokens", requestSecretId(record));
    return stored === undefined ? undefined : decodeTokens(stored).get(partyId);
  };
  return {
    tokenOf,
    async admits(record, partyId, token) {
      const expected = await tokenOf(record, partyId);
      const isSame = timingSafeEqual(digest(expected ?? ""), digest(token));
      return isSame && expected !== undefined && expected !== "";
    },
    derivedTokens(record) {
      if (record.tokens !== "derived" || !hasKey(record)) return new Map();
      return new Map(record.parties.map((party) => [party.partyId, derive(record, party)]));
    },
  };
}

/** An outside coordinator's tokens as they are put into the vault. */
export function encodeTokens(tokens: ReadonlyMap<string, string>): Uint8Array {
  return Buffer.from(JSON.stringify([...tokens]));
}

function decodeTokens(stored: Uint8Array): ReadonlyMap<string, string> {
  return new Map(JSON.parse(Buffer.from(stored).toString("utf8")) as [string, string][]);
}

/** Of equal length whatever the token, as the comparison wants it. */
function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
