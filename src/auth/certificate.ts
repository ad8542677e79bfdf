import type { Caller, Identity } from "../domain/caller.ts";
import { isId } from "../domain/ids.ts";
import type { PartyRole } from "../domain/sessions/session.ts";
import { isPartyRole } from "./party-roles.ts";
import { unauthenticated } from "./refusal.ts";

/** A client's certificate, whose chain and validity the TLS layer has verified. */
export interface ClientCertificate {
  /** Its subject alternative names, as Node's `X509Certificate.subjectAltName` writes them. */
  readonly subjectAltName: string | undefined;
  /** Unix milliseconds of the end of its validity. */
  readonly validToMs: number;
}

const ours = /^urn:mpc:/i;
const partyName = "urn:mpc:party:";
const partyRoleName = "urn:mpc:party-role:";
const coordinatorName = "urn:mpc:role:coordinator";

/** Whom a certificate names; nobody, if it has no name of ours. */
export function identityOfCertificate(certificate: ClientCertificate): Identity | undefined {
  const caller = callerOfNames(uriNames(certificate.subjectAltName ?? ""));
  return caller === undefined ? undefined : { caller, expiresAtMs: certificate.validToMs };
}

/** Whom the names `urn:mpc:…` among these name. Refuses several, contradictory and unknown ones. */
export function callerOfNames(uris: readonly string[]): Caller | undefined {
  const names = uris.filter((uri) => ours.test(uri));
  if (names.length === 0) return undefined;
  const roles: PartyRole[] = [];
  const callers: Caller[] = [];
  for (const name of names) {
    const caller = callerOfName(name);
    if (caller !== undefined) callers.push(caller);
    else roles.push(roleOfName(name));
  }
  const [caller] = callers;
  if (caller === undefined || callers.length > 1) {
    throw unauthenticated("the certificate must name one party, or the coordinator");
  }
  if (roles.length === 0) return caller;
  if (caller.kind !== "party") {
    throw unauthenticated("the certificate gives party roles to a coordinator");
  }
  return { ...caller, roles };
}

function callerOfName(name: string): Caller | undefined {
  if (name === coordinatorName) return { kind: "coordinator" };
  const partyId = name.slice(partyName.length);
  return name.startsWith(partyName) && isId(partyId) ? { kind: "party", partyId } : undefined;
}

function roleOfName(name: string): PartyRole {
  const role = name.slice(partyRoleName.length);
  if (name.startsWith(partyRoleName) && isPartyRole(role)) return role;
  throw unauthenticated("the certificate has a name that begins with urn:mpc: and is not known");
}

/**
 * The URIs of a text such as `DNS:a.example, URI:urn:mpc:party:alice`. A name with a comma, a quotation mark or anything
 * else that could be taken for another name is written as a JSON string, and none of ours has such a character.
 */
function uriNames(subjectAltName: string): readonly string[] {
  // A quoted name is matched as a whole, so nothing inside it counts as a name.
  const names = subjectAltName.match(/[A-Za-z ]+:(?:"(?:[^"\\]|\\.)*"|[^,]*)/g) ?? [];
  return names
    .map((name) => name.trim())
    .filter((name) => name.startsWith("URI:"))
    .map((name) => name.slice("URI:".length));
}
