import type { HandlerContext } from "@connectrpc/connect";
import { MessageRouter } from "../../gen/mpc/router/v1/message_router_pb.js";
import type { Caller } from "../domain/caller.ts";
import { RouterError } from "../domain/errors.ts";
import type { Quota } from "../limits/quota.ts";
import type { RateLimiter } from "../limits/rate-limiter.ts";
import { preferredWaitSeconds } from "./metadata.ts";

export interface CallerLimitsOptions {
  readonly calls: RateLimiter;
  readonly streams: Quota;
}

/** Throws where the caller has made too many calls, or has too many open. */
export type CallerLimits = (context: HandlerContext, caller: Caller) => void;

/** How soon a stream is worth trying again, in milliseconds: once the caller has ended one. */
const streamRetryMs = 1_000;

/**
 * Counts a call that is let in against what its party may do, or refuses it; streams and long polls until they end. A
 * coordinator, which may be a router that passes on what its parties ask, is not counted.
 */
export function createCallerLimits({ calls, streams }: CallerLimitsOptions): CallerLimits {
  return (context, caller) => {
    if (caller.kind !== "party") return;
    const retryAfterMs = calls.take(caller.partyId);
    if (retryAfterMs > 0) throw limited("too many calls of this party", retryAfterMs);
    if (!staysOpen(context)) return;
    const stream = streams.open(caller.partyId);
    if (stream === undefined) throw limited("too many streams of this party", streamRetryMs);
    if (context.signal.aborted) stream[Symbol.dispose]();
    else context.signal.addEventListener("abort", () => stream[Symbol.dispose](), { once: true });
  };
}

/** A stream, or a long poll. */
export function staysOpen({ method, requestHeader }: HandlerContext): boolean {
  if (method.methodKind !== "unary") return true;
  const isPoll = method === MessageRouter.method.getPendingMessages;
  return isPoll && preferredWaitSeconds(requestHeader) > 0;
}

function limited(detail: string, retryAfterMs: number): RouterError {
  return new RouterError("RATE_LIMITED", detail, { retryAfterMs });
}
