import { isIPv4 } from "node:net";

/** Whether only this machine reaches the host: a name or address, an IPv6 one with or without brackets. */
export function isLoopback(host: string): boolean {
  if (host.toLowerCase() === "localhost") return true;
  if (isIPv4(host)) return host.startsWith("127.");
  const bracketed = host.startsWith("[") ? host : `[${host}]`;
  // One address has many spellings, and a URL has the shortest.
  const url = `http://${bracketed}`;
  return URL.canParse(url) && new URL(url).hostname === "[::1]";
}
