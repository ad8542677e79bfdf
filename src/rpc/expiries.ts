import type { Clock } from "../domain/clock.ts";
import { RouterError } from "../domain/errors.ts";

/** Ends what stays open when the credential that it was opened with ends. */
export interface Expiries extends Disposable {
  /** Aborts when the time has come, with the refusal as its reason; unless the call has ended by then. */
  signalAt(expiresAtMs: number, call: AbortSignal): AbortSignal;
}

/** How often the clock is looked at, in milliseconds: one timer for all, however far off they end. */
const lookEveryMs = 1_000;

export function createExpiries(clock: Clock): Expiries {
  /** As many as there are open streams and polls. */
  const open = new Map<AbortController, number>();
  const look = (): void => {
    const nowMs = clock.nowMs();
    for (const [controller, expiresAtMs] of open) {
      if (nowMs < expiresAtMs) continue;
      open.delete(controller);
      controller.abort(expired());
    }
  };
  const timer = setInterval(look, lookEveryMs).unref();
  return {
    signalAt(expiresAtMs, call) {
      const controller = new AbortController();
      open.set(controller, expiresAtMs);
      call.addEventListener("abort", () => open.delete(controller), { once: true });
      return controller.signal;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

function expired(): RouterError {
  return new RouterError("UNAUTHENTICATED", "the credential has ended; open anew with another");
}
