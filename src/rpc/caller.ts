import { createContextKey, type ContextKey, type HandlerContext } from "@connectrpc/connect";
import type { Caller } from "../domain/caller.ts";

/** Who calls, as was found out when the call was let in. Without authentication nobody sets it: everybody is trusted. */
export const callerKey: ContextKey<Caller> = createContextKey<Caller>(
  { kind: "open" },
  { description: "caller of this call" },
);

/** Aborts when the caller's credential ends, with the refusal as its reason; of streams and polls only. */
export const expiryKey: ContextKey<AbortSignal> = createContextKey<AbortSignal>(
  new AbortController().signal,
  { description: "end of the caller's credential" },
);

export function callerOf(context: HandlerContext): Caller {
  return context.values.get(callerKey);
}
