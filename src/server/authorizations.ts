import type { IncomingMessage } from "node:http";

/**
 * Puts all Authorization headers of a request into one, as a list. Node keeps the first of several and says nothing of the
 * others, but who stands in front of the router may have looked at another: so whoever decides has to see them all.
 */
export function joinAuthorizations(headers: Headers, { rawHeaders }: IncomingMessage): void {
  const found: string[] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() === "authorization") found.push(rawHeaders[at + 1] ?? "");
  }
  if (found.length > 1) headers.set("authorization", found.join(", "));
}
