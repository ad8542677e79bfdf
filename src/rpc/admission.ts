import type { HandlerContext } from "@connectrpc/connect";
import type { Caller, Identity } from "../domain/caller.ts";
import { isRouterError, RouterError, type RouterErrorReason } from "../domain/errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import { accessTo, refusalFor } from "./access.ts";
import { staysOpen, type CallerLimits } from "./caller-limits.ts";
import { callerKey, expiryKey } from "./caller.ts";
import { connectionKey, type Connection } from "./connection.ts";
import { wireError } from "./errors.ts";
import type { Expiries } from "./expiries.ts";

/** Lets a call in, or throws; runs when its headers are there, before anything else of it is read. */
export type Admit = (context: HandlerContext) => void | Promise<void>;

export interface AdmissionOptions {
  /** Whom the credentials prove; `undefined` where none is shown. Refuses those that are not good. */
  readonly authenticate: (shown: {
    readonly authorization: string | null;
    readonly certificate: Connection["certificate"];
  }) => Identity | undefined | Promise<Identity | undefined>;
  readonly limits: CallerLimits;
  readonly expiries: Expiries;
  readonly logger: Logger;
}

const texts: Partial<Record<RouterErrorReason, string>> = {
  UNAUTHENTICATED: "this call needs a credential",
  CALLER_MISMATCH: "a coordinator's credential does not act as a party",
  COORDINATOR_ONLY: "this call needs a coordinator's credential",
};

/** Decides by the credential who calls, and by the table whether it may; requests have no say in either. */
export function createAdmission(options: AdmissionOptions): Admit {
  const { authenticate, limits, expiries, logger } = options;
  const enter = (context: HandlerContext, identity: Identity | undefined): void => {
    if (identity === undefined) throw refusal("UNAUTHENTICATED");
    const { caller, expiresAtMs } = identity;
    requireAccess(context, caller);
    limits(context, caller);
    context.values.set(callerKey, caller);
    if (staysOpen(context) && expiresAtMs !== Number.POSITIVE_INFINITY) {
      context.values.set(expiryKey, expiries.signalAt(expiresAtMs, context.signal));
    }
  };
  const refused = ({ service, method }: HandlerContext, error: unknown): Error => {
    const name = `${service.typeName}/${method.name}`;
    if (isRouterError(error)) logger.debug({ method: name, reason: error.reason }, "call refused");
    else logger.error({ method: name, err: error }, "call failed");
    return wireError(error);
  };
  return async (context) => {
    if (accessTo(context.method).nobody === "ok") return;
    try {
      const shown = {
        authorization: context.requestHeader.get("Authorization"),
        certificate: context.values.get(connectionKey).certificate,
      };
      enter(context, await authenticate(shown));
    } catch (error) {
      throw refused(context, error);
    }
  };
}

function requireAccess({ method }: HandlerContext, caller: Caller): void {
  if (caller.kind === "open") return;
  const reason = refusalFor(accessTo(method), caller.kind);
  if (reason !== undefined) throw refusal(reason);
}

function refusal(reason: RouterErrorReason): RouterError {
  return new RouterError(reason, texts[reason] ?? "this caller may not make this call");
}
