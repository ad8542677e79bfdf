import { maxWaitSeconds } from "../domain/messages/receiving.ts";

/** Seconds that `Prefer: wait=N` (RFC 7240) asks for, at most 30; 0 without it. A preference may be ignored. */
export function preferredWaitSeconds(header: Headers): number {
  const wait = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,9})"?/i.exec(header.get("Prefer") ?? "");
  return Math.min(maxWaitSeconds, Number(wait?.[1] ?? 0));
}
