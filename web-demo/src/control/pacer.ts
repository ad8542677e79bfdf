import type { Pace, Want } from "../model/state.ts";

/** Time from one message to the next at the pace for watching, for all parties of a round together, in milliseconds. */
const roundGapMs = 120;

/** How long a recipient looks at a message, at the pace for watching, in milliseconds: as long as it is seen to fly. */
const watchReadingMs = 320;

/** Decides when a party's message may go: at once, one after the other, or when the user says so. */
export class Pacer {
  readonly #release: (want: Want) => void;
  readonly #queue: Want[] = [];
  #pace: Pace = "watch";
  #parties = 3;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(release: (want: Want) => void) {
    this.#release = release;
  }

  get readingMs(): number {
    return this.#pace === "full" ? 0 : watchReadingMs;
  }

  add(want: Want, parties: number): void {
    this.#parties = parties;
    this.#queue.push(want);
    this.#go();
  }

  setPace(pace: Pace): void {
    this.#pace = pace;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#go();
  }

  /** Lets the first go. */
  next(): void {
    const want = this.#queue.shift();
    if (want !== undefined) this.#release(want);
  }

  /** Forgets what nobody waits for any more. */
  drop(isStale: (want: Want) => boolean): void {
    const kept = this.#queue.filter((want) => !isStale(want));
    this.#queue.splice(0, this.#queue.length, ...kept);
  }

  #go(): void {
    if (this.#pace === "full") {
      while (this.#queue.length > 0) this.next();
    }
    if (this.#pace !== "watch" || this.#timer !== undefined || this.#queue.length === 0) return;
    this.next();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#go();
    }, roundGapMs / this.#parties);
  }
}
