import type { Settings } from "../config/settings-table.ts";
import type { Clock } from "../domain/clock.ts";
import { Quota } from "../limits/quota.ts";
import { RateLimiter } from "../limits/rate-limiter.ts";
import { createAdmission, type Admit } from "../rpc/admission.ts";
import { createCallerLimits, type CallerLimits } from "../rpc/caller-limits.ts";
import { createExpiries } from "../rpc/expiries.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Authentication } from "./authentication.ts";

export interface AdmissionParts {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Decides who is let in, and how often. Undefined without authentication, where everybody is let in and believed; then
 * nobody is known before the request is read, so there calls are counted by connection alone.
 */
export function openAdmission(
  authentication: Authentication | undefined,
  { settings, clock, logger }: AdmissionParts,
  resources: AsyncDisposableStack,
): Admit | undefined {
  if (authentication === undefined) return undefined;
  const expiries = resources.use(createExpiries(clock));
  return createAdmission({ ...authentication, limits: limitsOf(settings), expiries, logger });
}

/** By a clock that does not go back, as the system's may. */
function limitsOf({ callsPerSecond, callBurst, maxStreamsPerParty }: Settings): CallerLimits {
  const rate = { perSecond: callsPerSecond, burst: callBurst };
  return createCallerLimits({
    calls: new RateLimiter({ rate, nowMs: () => performance.now() }),
    streams: new Quota(maxStreamsPerParty),
  });
}
