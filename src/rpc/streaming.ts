import type { HandlerContext } from "@connectrpc/connect";
import { RouterError } from "../domain/errors.ts";
import { expiryKey } from "./caller.ts";
import { connectionKey } from "./connection.ts";

/** A server stream that has begun: its headers are out. */
export interface OpenStream {
  /** Aborts when the client leaves, its credential ends, or the server drains. */
  readonly signal: AbortSignal;
  /** Called whenever the client's connection proves that it is alive. Returns the way to stop. */
  readonly onAlive: (listener: () => void) => () => void;
}

/** Aborts as that of the stream does; for what is acquired before the stream begins. */
export function streamSignal({ signal, values }: HandlerContext): AbortSignal {
  return AbortSignal.any([signal, values.get(connectionKey).closing, values.get(expiryKey)]);
}

/**
 * Sends the headers at once, so that a subscriber knows that it is subscribed before anything comes. Best called after
 * the checks that may refuse.
 */
export function openStream(context: HandlerContext): OpenStream {
  const connection = context.values.get(connectionKey);
  connection.sendHeaders(context.responseHeader);
  return {
    signal: streamSignal(context),
    onAlive: (listener) => connection.onAlive(listener),
  };
}

/**
 * Gives the items over as wire messages. A stream that the drain cut short ends `unavailable`, and one whose credential
 * has ended `unauthenticated`.
 */
export async function* relay<Item, Wire>(
  context: HandlerContext,
  items: AsyncIterable<Item>,
  translate: (item: Item) => Wire,
): AsyncGenerator<Wire> {
  for await (const item of items) yield translate(item);
  context.values.get(expiryKey).throwIfAborted();
  if (context.values.get(connectionKey).closing.aborted) throw shuttingDown();
}

/** What ends a stream that the drain cuts short. */
export function shuttingDown(): RouterError {
  return new RouterError("SHUTTING_DOWN", "this router stops", { retryAfterMs: 1_000 });
}
