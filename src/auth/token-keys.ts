import type { KeyObject } from "node:crypto";
import { errors, type CryptoKey, type JWTHeaderParameters, type LocalJWKSet } from "jose";
import { RouterError } from "../domain/errors.ts";
import type { Refreshed } from "./refreshed.ts";
import { unauthenticated } from "./refusal.ts";

/** What tokens are verified with. */
export interface TokenKeys extends Disposable {
  /** Algorithms that there may be a key for; no other is looked at. */
  readonly algorithms: readonly string[];
  /** Counts the changes: what was verified under an earlier generation has to be verified again. */
  generation(): number;
  keyFor(header: JWTHeaderParameters): Promise<CryptoKey | KeyObject>;
}

export interface KeySources {
  readonly keySet?: Refreshed<LocalJWKSet> | undefined;
  readonly secret?: Refreshed<KeyObject> | undefined;
}

/** Each kind of key has its own algorithms, so no public key is ever used as a secret. */
const secretAlgorithms: readonly string[] = ["HS256"];
const publicAlgorithms: readonly string[] = ["EdDSA", "ES256", "RS256"];

export function createTokenKeys({ keySet, secret }: KeySources): TokenKeys {
  return {
    algorithms: [
      ...(secret === undefined ? [] : secretAlgorithms),
      ...(keySet === undefined ? [] : publicAlgorithms),
    ],
    generation: () => (keySet?.generation() ?? 0) + (secret?.generation() ?? 0),
    async keyFor(header) {
      if (secretAlgorithms.includes(header.alg)) return secretOf(secret);
      if (publicAlgorithms.includes(header.alg)) return publicKeyOf(keySet, header);
      throw unauthenticated("the token's alg is not accepted");
    },
    [Symbol.dispose]() {
      keySet?.[Symbol.dispose]();
      secret?.[Symbol.dispose]();
    },
  };
}

function secretOf(source: Refreshed<KeyObject> | undefined): KeyObject {
  const secret = source?.value();
  if (secret === undefined) throw unauthenticated("the token's alg is not accepted");
  return secret;
}

/** A key that is not in the set may be a new one: the set is read again. */
async function publicKeyOf(
  source: Refreshed<LocalJWKSet> | undefined,
  header: JWTHeaderParameters,
): Promise<CryptoKey> {
  if (source === undefined) throw unauthenticated("the token's alg is not accepted");
  if (source.value() === undefined) await source.refresh();
  const set = source.value();
  if (set === undefined) {
    throw new RouterError("AUTH_KEYS_UNAVAILABLE", "the keys of tokens cannot be had now", {
      retryAfterMs: 1_000,
    });
  }
  try {
    return await set(header);
  } catch (error) {
    if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
    await source.refresh();
    const newer = source.value();
    if (newer === undefined || newer === set) throw error;
    return newer(header);
  }
}
