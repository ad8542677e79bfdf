import { callBudgetMs } from "../domain/call-budget.ts";
import { brokerUnavailable, storeFull } from "../domain/errors.ts";
import { isClosed, isStoreFull, isTransient, isWriteInFlight } from "./errors.ts";

/** How an operation is tried, where the usual does not fit. */
export interface AttemptLimits {
  /** For all tries together, in milliseconds. Default: {@link callBudgetMs}. */
  readonly budgetMs?: number;
  /**
   * On a cluster: a try that is not answered for this long, in milliseconds, is followed by another one beside it, since
   * what was on its way to a server that died is lost without a word. Default: 900.
   */
  readonly repeatMs?: number;
  /**
   * Whether to give up with STORE_FULL when the first try is refused for lack of space. What comes after a try whose outcome
   * is unknown is not so sure.
   */
  readonly endsWhenFull?: boolean;
}

export interface Attempt<T> extends AttemptLimits {
  readonly what: string;
  readonly operation: () => Promise<T>;
  readonly isClustered: boolean;
  /** Calls the listener where what is in flight may not be answered any more. Returns the way to stop. */
  readonly onCut: (listener: () => void) => () => void;
}

const retryPauseMs = 100;
/** A cluster decides on a write in a few milliseconds. */
const inFlightPauseMs = 10;
/** Longer than anything takes on a cluster that is well, and short enough for a second try within the budget. */
const usualRepeatMs = 900;

/**
 * Runs an operation until a try succeeds: again after a cut, after a passing fault, and beside a try that stays silent.
 * The first answer counts, whichever try it belongs to. BROKER_UNAVAILABLE when the budget is spent.
 */
export function attempt<T>(options: Attempt<T>): Promise<T> {
  const { what, operation, isClustered, onCut } = options;
  const { budgetMs = callBudgetMs, repeatMs = usualRepeatMs, endsWhenFull = false } = options;
  return new Promise((resolve, reject) => {
    let tries = 0;
    let cause: unknown;
    let next: NodeJS.Timeout | undefined;
    const settle = (act: () => void): void => {
      off();
      clearTimeout(next);
      clearTimeout(limit);
      act();
    };
    const tryAfter = (pauseMs: number): void => {
      clearTimeout(next);
      next = setTimeout(tryOnce, pauseMs);
    };
    const onFailure = (error: unknown, isNewest: boolean): void => {
      if (endsWhenFull && tries === 1 && isStoreFull(error)) {
        return settle(() => reject(storeFull(error)));
      }
      if (!isTransient(error)) return settle(() => reject(error));
      if (isClosed(error)) return settle(() => reject(brokerUnavailable(what, error)));
      cause = error;
      // Of an older try nothing more was expected.
      if (isNewest) tryAfter(isWriteInFlight(error) ? inFlightPauseMs : retryPauseMs);
    };
    const tryOnce = (): void => {
      const number = (tries += 1);
      if (isClustered) tryAfter(repeatMs);
      started(operation).then(
        (value) => settle(() => resolve(value)),
        (error: unknown) => onFailure(error, number === tries),
      );
    };
    const off = onCut(tryOnce);
    const limit = setTimeout(
      () => settle(() => reject(brokerUnavailable(what, cause))),
      Math.max(1, budgetMs),
    );
    tryOnce();
  });
}

/** What is thrown before the first wait is a failure like any other. */
async function started<T>(operation: () => Promise<T>): Promise<T> {
  return operation();
}
