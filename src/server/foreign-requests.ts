import type { IncomingMessage } from "node:http";
import { BlockList, isIP, isIPv6 } from "node:net";
import type { Refusal } from "./refusals.ts";

export interface HomeOptions {
  /** Names and addresses that requests may be for, beside those of this machine's loopback. */
  readonly hosts: readonly string[];
  /** Origins whose pages may call, spelled exactly or as patterns, beside the pages that came from here. */
  readonly allowedOrigins: readonly (string | RegExp)[];
}

/**
 * For a server that trusts who can reach it: refuses what pages from elsewhere could send. A page whose name was made to
 * resolve to this machine (DNS rebinding) shows it by the host that its requests name, any other by its origin.
 */
export function createForeignCheck(
  options: HomeOptions,
): (request: IncomingMessage) => Refusal | undefined {
  const hosts = new Set(options.hosts.map((host) => host.toLowerCase()));
  return (request) => {
    const named = authoritiesOf(request);
    if (named.length === 0 || !named.every((authority) => isHome(authority, hosts))) {
      return foreignHost;
    }
    const { origin } = request.headers;
    const isKnown =
      origin === undefined ||
      named.some((authority) => isOwnOrigin(origin, authority)) ||
      options.allowedOrigins.some((allowed) => matches(allowed, origin));
    return isKnown ? undefined : foreignOrigin;
  };
}

const foreignHost: Refusal = {
  reason: "FOREIGN_HOST",
  detail: "without authentication only requests for this machine's own names are served",
};

const foreignOrigin: Refusal = {
  reason: "FOREIGN_ORIGIN",
  detail: "pages of this origin may not call (--allowed-origins)",
};

/** Every host that the request names, in whatever place: one that is not ours is enough to refuse it. */
function authoritiesOf(request: IncomingMessage): string[] {
  const found: string[] = [];
  const { rawHeaders, url = "" } = request;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]?.toLowerCase();
    if (name === "host" || name === ":authority") found.push(rawHeaders[at + 1] ?? "");
  }
  // The absolute form, which overrules the header (RFC 9112, section 3.2.2).
  if (!url.startsWith("/") && url !== "*") {
    found.push(/^https?:\/\/([^/?#]*)/i.exec(url)?.[1] ?? "");
  }
  return found;
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8);
loopback.addAddress("::1", "ipv6");

/** A host, or an IPv6 address in brackets, and perhaps a port. Nothing else passes, least of all user information. */
const authorityForm = /^(?:\[([\da-f:.]+)\]|([\w.-]+))(?::\d{1,5})?$/i;

function isHome(authority: string, hosts: ReadonlySet<string>): boolean {
  const [, address, name] = authorityForm.exec(authority) ?? [];
  const host = (address ?? name ?? "").toLowerCase().replace(/\.$/, "");
  if (isIP(host) !== 0 && loopback.check(host, isIPv6(host) ? "ipv6" : "ipv4")) return true;
  return host === "localhost" || hosts.has(host);
}

function isOwnOrigin(origin: string, authority: string): boolean {
  return origin === `http://${authority}` || origin === `https://${authority}`;
}

function matches(allowed: string | RegExp, origin: string): boolean {
  return typeof allowed === "string" ? allowed === origin : allowed.test(origin);
}
