import { type Rate, TokenBucket } from "./token-bucket.ts";

export interface RateLimiterOptions {
  readonly rate: Rate;
  /** A clock in milliseconds that does not go back. */
  readonly nowMs: () => number;
  /** So many callers are counted; beyond, the one that has called least recently begins anew. */
  readonly maxCallers?: number;
}

/** A bucket takes about 200 bytes with its place in the map. */
const defaultMaxCallers = 100_000;

/** Holds each caller to a rate, whatever the others do. */
export class RateLimiter {
  readonly #options: RateLimiterOptions;
  /** The least recent caller first. */
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(options: RateLimiterOptions) {
    this.#options = options;
  }

  /** Counts one call and returns 0; over the rate, counts nothing and returns after how many milliseconds to try again. */
  take(caller: string): number {
    const { rate, nowMs, maxCallers = defaultMaxCallers } = this.#options;
    const bucket = this.#buckets.get(caller) ?? new TokenBucket(rate);
    this.#buckets.delete(caller);
    this.#buckets.set(caller, bucket);
    if (this.#buckets.size > maxCallers) {
      const oldest = this.#buckets.keys().next();
      if (oldest.done !== true) this.#buckets.delete(oldest.value);
    }
    return bucket.take(nowMs());
  }
}
