/** How often something may happen: so many times at once, and then again at this rate. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** What rounding may make of a time, in milliseconds. */
const roundingMs = 1e-6;

/** Counts what one caller does against its rate. Times are in milliseconds, of a clock that does not go back. */
export class TokenBucket {
  readonly #tokenMs: number;
  readonly #burst: number;
  /** When it holds its whole burst again; all that has to be known of it. */
  #fullAtMs = 0;

  constructor({ perSecond, burst }: Rate) {
    this.#tokenMs = 1_000 / perSecond;
    this.#burst = burst;
  }

  /** Takes one token and returns 0; where there is none, takes nothing and returns the time until there is one. */
  take(nowMs: number): number {
    const fullAtMs = Math.max(this.#fullAtMs, nowMs) + this.#tokenMs;
    const waitMs = fullAtMs - this.#burst * this.#tokenMs - nowMs;
    if (waitMs > roundingMs) return Math.ceil(waitMs - roundingMs);
    this.#fullAtMs = fullAtMs;
    return 0;
  }
}
