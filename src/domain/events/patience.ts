import { setTimeout as delay } from "node:timers/promises";
import { isRouterError } from "../errors.ts";
import type { EventStore, StoredEvent } from "./event-ports.ts";

const pauseMs = 200;

/** Asks again while the broker is away: an open stream outlasts that. `undefined`: the signal aborted meanwhile. */
export async function untilAnswered<T>(
  signal: AbortSignal,
  ask: () => Promise<T>,
): Promise<T | undefined> {
  while (!signal.aborted) {
    try {
      return await ask();
    } catch (error) {
      await pauseIfAway(signal, error);
    }
  }
  return undefined;
}

/** Stored events of a range in order, read on from where it was when the broker comes back. */
export async function* readOn(
  store: EventStore,
  range: { readonly after: number; readonly upTo: number },
  signal: AbortSignal,
): AsyncGenerator<StoredEvent> {
  let after = range.after;
  while (!signal.aborted) {
    try {
      for await (const stored of store.read({ after, upTo: range.upTo })) {
        after = stored.sequence;
        yield stored;
      }
      return;
    } catch (error) {
      await pauseIfAway(signal, error);
    }
  }
}

async function pauseIfAway(signal: AbortSignal, error: unknown): Promise<void> {
  if (!isRouterError(error, "BROKER_UNAVAILABLE")) throw error;
  await delay(pauseMs, undefined, { signal }).catch(() => undefined);
}
