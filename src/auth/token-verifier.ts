import { hash } from "node:crypto";
import { errors, jwtVerify } from "jose";
import { BoundedMap } from "../domain/bounded-map.ts";
import type { Identity } from "../domain/caller.ts";
import type { Clock } from "../domain/clock.ts";
import { RouterError } from "../domain/errors.ts";
import { callerOfClaims } from "./claims.ts";
import { unauthenticated } from "./refusal.ts";
import type { TokenKeys } from "./token-keys.ts";

export interface TokenVerifierOptions {
  readonly keys: TokenKeys;
  /** What `iss` and `aud` must be; unchecked where undefined. */
  readonly issuer: string | undefined;
  readonly audience: string | undefined;
  readonly clock: Clock;
}

/** Whom a token names. Refuses with UNAUTHENTICATED; a token that was seen lately costs a look-up only. */
export type TokenVerifier = (token: string) => Identity | Promise<Identity>;

/** For clocks that differ. */
const leewaySeconds = 30;
/** A verified token is verified again after this time. */
const maxCachedMs = 5 * 60_000;
const maxCached = 10_000;

interface Verified {
  readonly identity: Identity;
  readonly untilMs: number;
}

export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const { keys, clock } = options;
  const verified = new BoundedMap<string, Verified>(maxCached);
  let generation = keys.generation();

  const verify = async (token: string, digest: string): Promise<Identity> => {
    const before = keys.generation();
    const identity = await verifiedIdentity(token, options);
    const nowMs = clock.nowMs();
    const untilMs = Math.min(nowMs + maxCachedMs, identity.expiresAtMs);
    // Keys that changed meanwhile may be those that it was verified with.
    if (keys.generation() === before) verified.set(digest, { identity, untilMs });
    return identity;
  };
  return (token) => {
    if (keys.generation() !== generation) {
      generation = keys.generation();
      verified.clear();
    }
    // Not the token itself: what lies in memory for minutes opens nothing.
    const digest = hash("sha256", token, "base64");
    const known = verified.get(digest);
    if (known !== undefined && clock.nowMs() < known.untilMs) return known.identity;
    return verify(token, digest);
  };
}

async function verifiedIdentity(
  token: string,
  { keys, issuer, audience, clock }: TokenVerifierOptions,
): Promise<Identity> {
  try {
    const { payload } = await jwtVerify(token, (header) => keys.keyFor(header), {
      algorithms: [...keys.algorithms],
      requiredClaims: ["exp"],
      clockTolerance: leewaySeconds,
      currentDate: new Date(clock.nowMs()),
      ...(issuer === undefined ? {} : { issuer }),
      ...(audience === undefined ? {} : { audience }),
    });
    // It is required, and a number.
    const { exp = 0 } = payload;
    return { caller: callerOfClaims(payload), expiresAtMs: (exp + leewaySeconds) * 1_000 };
  } catch (error) {
    throw refusalOf(error);
  }
}

/** The names of these claims may be said; what is in them may not. */
const namedClaims: readonly string[] = ["iss", "aud", "exp", "nbf"];

function refusalOf(error: unknown): RouterError {
  if (error instanceof RouterError) return error;
  if (error instanceof errors.JWTExpired) return unauthenticated("the token has expired");
  if (error instanceof errors.JWTClaimValidationFailed && namedClaims.includes(error.claim)) {
    return unauthenticated(`the token's ${error.claim} is missing or not accepted`);
  }
  return unauthenticated("the token is not accepted");
}
