import type { Entry, Fault } from "./record.ts";

/** Collects what happened, in the order in which it was known. */
export class Recorder {
  readonly #startedAt = performance.now();
  readonly #entries: Entry[] = [];

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** Milliseconds since the record began. */
  now(): number {
    return performance.now() - this.#startedAt;
  }

  note(entry: Entry): void {
    this.#entries.push(entry);
  }

  /** Does something to a process and notes it, also when it fails. Resolves when the process is gone, or woken. */
  async fault(
    about: Pick<Fault, "what" | "losesNewest">,
    inflict: () => Promise<unknown>,
  ): Promise<void> {
    const startMs = this.now();
    try {
      await inflict();
    } finally {
      this.note({ kind: "fault", ...about, startMs, endMs: this.now() });
    }
  }
}
