import { brokerUnavailable } from "./errors.ts";

/** What a call may take before its caller is told to try again, in milliseconds (semantics: within 2.5 s). */
export const callBudgetMs: number = 2_400;

/**
 * The operation's outcome, or BROKER_UNAVAILABLE when the time is over. The operation then goes on: so it must be one
 * that may be repeated.
 */
export async function withinBudget<T>(
  what: string,
  operation: Promise<T>,
  budgetMs: number = callBudgetMs,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(brokerUnavailable(what)), budgetMs);
  });
  try {
    return await Promise.race([operation, over]);
  } finally {
    clearTimeout(timer);
  }
}
