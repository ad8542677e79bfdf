import type { Caller, Identity } from "../domain/caller.ts";
import type { Clock } from "../domain/clock.ts";
import { identityOfCertificate, type ClientCertificate } from "./certificate.ts";
import { unauthenticated } from "./refusal.ts";
import type { TokenVerifier } from "./token-verifier.ts";

/** What a call shows of its caller. */
export interface ShownCredentials {
  /** The Authorization header; several of them joined with commas, as lists are. */
  readonly authorization: string | null;
  /** Of a connection whose client showed one that was verified. */
  readonly certificate: ClientCertificate | undefined;
}

/**
 * Whom the credentials prove; `undefined` where none is shown. Refuses with UNAUTHENTICATED what is shown and not good,
 * also beside something that is.
 */
export type Authenticate = (
  shown: ShownCredentials,
) => Identity | undefined | Promise<Identity | undefined>;

/** `verify`: undefined where tokens are not taken. */
export function createAuthenticate(verify: TokenVerifier | undefined, clock: Clock): Authenticate {
  return ({ authorization, certificate }) => {
    const certified = certificate === undefined ? undefined : identityOfCertificate(certificate);
    // It was good when the connection was made, which may be long ago.
    if (certified !== undefined && clock.nowMs() >= certified.expiresAtMs) {
      throw unauthenticated("the certificate has expired");
    }
    if (authorization === null) return certified;
    if (verify === undefined) throw unauthenticated("this router takes no tokens");
    const named = verify(bearerToken(authorization));
    if (certified === undefined) return named;
    return named instanceof Promise
      ? named.then((identity) => agreed(certified, identity))
      : agreed(certified, named);
  };
}

const maxTokenCharacters = 8_192;
const bearer = /^bearer +([\w.~+/=-]+)$/i;

/** A comma, as between two headers, is in no token. */
function bearerToken(authorization: string): string {
  if (authorization.length > maxTokenCharacters) {
    throw unauthenticated(`the token is longer than ${maxTokenCharacters} characters`);
  }
  const token = bearer.exec(authorization.trim())?.[1];
  if (token === undefined) throw unauthenticated("authorization must be one bearer token");
  return token;
}

/** A certificate and a token must be of the same caller, who is then limited by both. */
function agreed(certified: Identity, named: Identity): Identity {
  return {
    caller: sameCaller(certified.caller, named.caller),
    expiresAtMs: Math.min(certified.expiresAtMs, named.expiresAtMs),
  };
}

function sameCaller(one: Caller, other: Caller): Caller {
  if (one.kind === "party" && other.kind === "party" && one.partyId === other.partyId) {
    const { roles } = other;
    if (one.roles === undefined) return other;
    return roles === undefined
      ? one
      : { ...one, roles: one.roles.filter((role) => roles.includes(role)) };
  }
  // The certificate of a coordinator does not say which it is.
  if (one.kind === "coordinator" && other.kind === "coordinator") return other;
  throw unauthenticated("the certificate and the token name different callers");
}
