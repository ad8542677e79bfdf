import type { ConnectError } from "@connectrpc/connect";
import { RouterError, type RouterErrorOptions, type RouterErrorReason } from "../domain/errors.ts";
import { toConnectError } from "./errors.ts";

/** What the port refuses before any handler sees it, as callers are told. */
export interface PortRefusal extends Pick<RouterErrorOptions, "retryAfterMs"> {
  readonly reason: RouterErrorReason;
  readonly detail: string;
}

export function portRefusal({ reason, detail, ...options }: PortRefusal): ConnectError {
  return toConnectError(new RouterError(reason, detail, options));
}
