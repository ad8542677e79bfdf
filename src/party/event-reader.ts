import { Code } from "@connectrpc/connect";
import { abortedBy, PartyError } from "./party-error.ts";
import type { PartyEvent } from "./party-event.ts";

/** Events a reader may be behind by. */
const mostWaiting = 10_000;

/** One reader's events, from the moment it was made until it is closed. */
export class EventReader implements AsyncIterableIterator<PartyEvent, undefined> {
  readonly #waiting: PartyEvent[] = [];
  readonly #types: ReadonlySet<string> | undefined;
  readonly #signal: AbortSignal;
  readonly #onClose: () => void;
  #arrived: (() => void) | undefined;
  #failure: PartyError | undefined;
  #isClosed = false;

  constructor(options: {
    readonly types?: readonly string[] | undefined;
    readonly signal: AbortSignal;
    readonly onClose: () => void;
  }) {
    this.#types = options.types === undefined ? undefined : new Set(options.types);
    this.#signal = options.signal;
    this.#onClose = options.onClose;
    this.#signal.addEventListener("abort", this.#wake);
  }

  put(event: PartyEvent): void {
    if (this.#types !== undefined && !this.#types.has(event.type)) return;
    if (this.#waiting.length >= mostWaiting) {
      const text = `the reader of events is ${mostWaiting} behind`;
      this.fail(new PartyError("READER_SLOW", text, { code: Code.ResourceExhausted }));
      return;
    }
    this.#waiting.push(event);
    this.#wake();
  }

  fail(error: PartyError): void {
    this.#failure ??= error;
    this.#wake();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<PartyEvent, undefined>> {
    for (;;) {
      if (this.#isClosed) return { done: true, value: undefined };
      if (this.#signal.aborted) throw this.#close(abortedBy(this.#signal));
      if (this.#failure !== undefined) throw this.#close(this.#failure);
      const event = this.#waiting.shift();
      if (event !== undefined) return { done: false, value: event };
      await new Promise<void>((resolve) => (this.#arrived = resolve));
    }
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#close(undefined);
    this.#wake();
    return { done: true, value: undefined };
  }

  #close<T>(result: T): T {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#signal.removeEventListener("abort", this.#wake);
      this.#onClose();
    }
    return result;
  }

  readonly #wake = (): void => {
    this.#arrived?.();
    this.#arrived = undefined;
  };
}
