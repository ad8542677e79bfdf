import { setTimeout as sleep } from "node:timers/promises";
import { isTransient } from "../../../src/party/index.ts";

const limitMs = 30_000;
const attemptMs = 4_000;

/** Repeats a call that may be repeated until it is answered; rejects when it is refused, or not answered for long. */
export async function insist<T>(attempt: (timeoutMs: number) => Promise<T>): Promise<T> {
  const giveUpAt = performance.now() + limitMs;
  for (;;) {
    try {
      return await attempt(attemptMs);
    } catch (error) {
      if (!isTransient(error) || performance.now() > giveUpAt) throw error;
    }
    await sleep(100);
  }
}
