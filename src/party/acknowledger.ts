/** Calls at a time. */
const mostCalls = 16;

/** Acknowledgements under way; who has so many waits before it asks for the next message. */
const mostPending = 64;

/** What the application made of a message. */
export interface Outcome {
  readonly messageId: string;
  /** Empty: it was processed. */
  readonly refusal: string;
}

/** Tells the router what became of messages, in the background and as often as it takes. */
export class Acknowledger {
  readonly #call: (outcome: Outcome) => Promise<void>;
  readonly #pending = new Set<Promise<void>>();
  readonly #waiting: (() => void)[] = [];
  #calls = 0;

  /** `call` repeats itself through outages, and rejects when it was refused or the session was closed. */
  constructor(call: (outcome: Outcome) => Promise<void>) {
    this.#call = call;
  }

  /** Resolves when the router knows; rejects when it does not want to. Nobody needs to wait. */
  start(outcome: Outcome): Promise<void> {
    const telling = this.#inTurn(outcome);
    const settled = telling.catch(() => undefined).finally(() => this.#pending.delete(settled));
    this.#pending.add(settled);
    return telling;
  }

  /** Resolves when fewer are under way than are allowed. */
  async room(): Promise<void> {
    while (this.#pending.size >= mostPending) await Promise.race(this.#pending);
  }

  /** Resolves when none is under way. */
  async drained(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  async #inTurn(outcome: Outcome): Promise<void> {
    if (this.#calls >= mostCalls) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#calls++;
    try {
      await this.#call(outcome);
    } finally {
      this.#calls--;
      this.#waiting.shift()?.();
    }
  }
}
