import { setTimeout as delay } from "node:timers/promises";

/** Resolves once the condition holds; rejects, saying what was awaited, when the deadline has passed. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  deadlineMs = 10_000,
): Promise<void> {
  const giveUpAt = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > giveUpAt) throw new Error(`waited ${deadlineMs} ms in vain: ${what}`);
    await delay(5);
  }
}
