import type { HandlerContext } from "@connectrpc/connect";
import type { Caller } from "../domain/caller.ts";
import { RouterError } from "../domain/errors.ts";
import type { Quota } from "../limits/quota.ts";
import type { RateLimiter } from "../limits/rate-limiter.ts";

export interface CallerLimitsOptions {
  readonly calls: RateLimiter;
  readonly streams: Quota;
}

/** How soon a stream is worth trying again, in milliseconds: once the caller has ended one. */
const streamRetryMs = 1_000;

/**
 * Counts a call that is let in against what its party may do, or refuses it; the streams until they end. A coordinator,
 * which may be a router that passes on what its parties ask, is not counted.
 */
export function createCallerLimits({
  calls,
  streams,
}: CallerLimitsOptions): (context: HandlerContext, caller: Caller) => void {
  return (context, caller) => {
    if (caller.kind !== "party") return;
    const retryAfterMs = calls.take(caller.partyId);
    if (retryAfterMs > 0) throw limited("too many calls of this party", retryAfterMs);
    if (context.method.methodKind === "unary") return;
    const stream = streams.open(caller.partyId);
    if (stream === undefined) throw limited("too many streams of this party", streamRetryMs);
    if (context.signal.aborted) stream[Symbol.dispose]();
    else context.signal.addEventListener("abort", () => stream[Symbol.dispose](), { once: true });
  };
}

function limited(detail: string, retryAfterMs: number): RouterError {
  return new RouterError("RATE_LIMITED", detail, { retryAfterMs });
}
