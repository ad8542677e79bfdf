import { RouterError } from "../errors.ts";
import type { JoinMissCounter } from "./session-ports.ts";

/** Wrong tokens after which a caller has to wait. */
const maxMisses = 5;
const retryAfterMs = 60_000;

/** Counts a join with a wrong token, and gives the refusal that it earns. */
export async function joinRefusal(
  misses: JoinMissCounter,
  sessionId: string,
  callerId: string,
): Promise<RouterError> {
  if ((await misses.count(sessionId, callerId)) >= maxMisses) {
    return new RouterError(
      "TOO_MANY_JOIN_ATTEMPTS",
      "too many wrong join tokens; the right one is accepted at any time",
      { retryAfterMs },
    );
  }
  await misses.add(sessionId, callerId);
  return new RouterError("JOIN_DENIED", "party_id and join_token admit nobody to the session");
}
