import type { StoredEvent } from "./event-ports.ts";

/** Events that wait for one stream, which may read slowly. When full it takes no more until it is resumed. */
export class EventQueue {
  readonly #capacity: number;
  readonly #events: StoredEvent[] = [];
  #isFull = false;
  #wake: (() => void) | undefined;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  push(stored: StoredEvent): void {
    if (this.#isFull) return;
    if (this.#events.length < this.#capacity) this.#events.push(stored);
    else this.#isFull = true;
    this.#wake?.();
  }

  /**
   * The next event, as soon as there is one; "missed" after the last one before the queue was full; `undefined` when
   * the signal has aborted.
   */
  async next(signal: AbortSignal): Promise<StoredEvent | "missed" | undefined> {
    while (!signal.aborted) {
      const stored = this.#events.shift();
      if (stored !== undefined) return stored;
      if (this.#isFull) return "missed";
      await this.#changed(signal);
    }
    return undefined;
  }

  /** Takes events again, from now on. */
  resume(): void {
    this.#isFull = false;
  }

  #changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#wake = undefined;
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.#wake = wake;
      signal.addEventListener("abort", wake, { once: true });
    });
  }
}
