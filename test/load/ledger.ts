/** Keeps count of what was routed and what arrived, so that nothing is lost unnoticed. */
export class Ledger {
  /** Accepted and not delivered yet. A delivery may come before the answer to the call that it is of. */
  readonly #missing = new Set<string>();
  readonly #delivered = new Set<string>();
  /** Milliseconds from the call that routed a message to its first delivery. */
  readonly hopsMs: number[] = [];
  acknowledgedCount = 0;
  /** Deliveries after the first, which at-least-once allows. */
  repeatedCount = 0;

  get routedCount(): number {
    return this.#missing.size + this.#delivered.size;
  }

  get missingCount(): number {
    return this.#missing.size;
  }

  noteRouted(messageId: string, partyId: string): void {
    const key = keyOf(messageId, partyId);
    if (!this.#delivered.has(key)) this.#missing.add(key);
  }

  noteDelivered(messageId: string, partyId: string, sentAt: number): void {
    const key = keyOf(messageId, partyId);
    if (this.#delivered.has(key)) {
      this.repeatedCount += 1;
      return;
    }
    this.#delivered.add(key);
    this.#missing.delete(key);
    this.hopsMs.push(performance.now() - sentAt);
  }

  /** Whether all that was routed has been delivered and acknowledged. */
  isEven(): boolean {
    return this.#missing.size === 0 && this.acknowledgedCount >= this.#delivered.size;
  }
}

function keyOf(messageId: string, partyId: string): string {
  return `${messageId}.${partyId}`;
}
