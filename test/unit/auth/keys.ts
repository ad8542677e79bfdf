import { createSecretKey, randomBytes } from "node:crypto";
import {
  createLocalJWKSet,
  exportJWK,
  generateKeyPair,
  SignJWT,
  type CryptoKey,
  type JWK,
  type JWTHeaderParameters,
  type LocalJWKSet,
} from "jose";
import type { Refreshed } from "../../../src/auth/refreshed.ts";
import { createTokenKeys, type TokenKeys } from "../../../src/auth/token-keys.ts";
import { createTokenVerifier, type TokenVerifier } from "../../../src/auth/token-verifier.ts";

export interface SigningKey {
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
}

export async function signingKey(alg: string, kid: string = alg): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { alg, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid } };
}

export const secret: Buffer = randomBytes(32);
export const nowSeconds = 1_800_000_000;
/** In ten minutes. */
export const exp: number = nowSeconds + 600;
export const goodClaims: Claims = { sub: "alice", role: "party", iss: "issuer", aud: "mpc", exp };

type Claims = Readonly<Record<string, unknown>>;

export function signed(
  key: SigningKey,
  claims: Claims = goodClaims,
  header: Partial<JWTHeaderParameters> = {},
): Promise<string> {
  const { alg, privateKey, publicJwk } = key;
  const { kid = "" } = publicJwk;
  return new SignJWT({ ...claims }).setProtectedHeader({ alg, kid, ...header }).sign(privateKey);
}

export function signedBySecret(
  claims: Claims = goodClaims,
  key: Uint8Array = secret,
): Promise<string> {
  return new SignJWT({ ...claims }).setProtectedHeader({ alg: "HS256" }).sign(key);
}

/** Header and claims as they are, whatever is in them, with these bytes for a signature. */
export function forged(header: object, claims: object, signature = ""): string {
  return `${part(header)}.${part(claims)}.${signature}`;
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

/** A value that a test may swap. */
export interface Swappable<T> extends Refreshed<T> {
  swap(value: T | undefined): void;
  refreshes: number;
  /** What the next refresh finds. */
  next: T | undefined;
}

export function swappable<T>(first: T | undefined): Swappable<T> {
  let value = first;
  let generation = 1;
  const source: Swappable<T> = {
    next: undefined,
    refreshes: 0,
    value: () => value,
    generation: () => generation,
    swap(other) {
      value = other;
      generation += 1;
    },
    async refresh() {
      source.refreshes += 1;
      if (source.next !== undefined) source.swap(source.next);
      source.next = undefined;
    },
    [Symbol.dispose]: () => undefined,
  };
  return source;
}

export interface VerifierSetup {
  readonly verify: TokenVerifier;
  readonly keys: TokenKeys;
  readonly keySet: Swappable<LocalJWKSet>;
  readonly keyOf: Readonly<Record<"EdDSA" | "ES256" | "RS256", SigningKey>>;
  /** Calls of `keyFor`: tokens that were verified and not remembered. */
  readonly verified: { count: number };
  readonly clock: { nowSeconds: number; nowMs(): number };
}

/** They take a while to make. */
const sharedKeys = Promise.all([signingKey("EdDSA"), signingKey("ES256"), signingKey("RS256")]);

/** A verifier with one key of each kind. */
export async function setup(): Promise<VerifierSetup> {
  const [eddsa, es256, rs256] = await sharedKeys;
  const keySet = swappable(setOf(eddsa, es256, rs256));
  const plain = createTokenKeys({ keySet, secret: swappable(createSecretKey(secret)) });
  const verified = { count: 0 };
  const keys: TokenKeys = {
    ...plain,
    keyFor(header) {
      verified.count += 1;
      return plain.keyFor(header);
    },
  };
  const clock = { nowSeconds, nowMs: (): number => clock.nowSeconds * 1_000 };
  const verify = createTokenVerifier({ keys, issuer: "issuer", audience: "mpc", clock });
  return {
    verify,
    keys,
    keySet,
    keyOf: { EdDSA: eddsa, ES256: es256, RS256: rs256 },
    verified,
    clock,
  };
}

export function setOf(...keys: readonly SigningKey[]): LocalJWKSet {
  return createLocalJWKSet({ keys: keys.map(({ publicJwk }) => publicJwk) });
}
