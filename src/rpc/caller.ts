import { createContextKey, type ContextKey, type HandlerContext } from "@connectrpc/connect";
import type { Caller } from "../domain/caller.ts";

/** Who calls, as the identity interceptor found out. Without authentication nobody sets it: everybody is trusted. */
export const callerKey: ContextKey<Caller> = createContextKey<Caller>(
  { kind: "open" },
  { description: "caller of this call" },
);

export function callerOf(context: HandlerContext): Caller {
  return context.values.get(callerKey);
}
