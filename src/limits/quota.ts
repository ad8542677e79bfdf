/** Counts what each holder has open at a time. Who has nothing open takes no room, so it is bounded by what is open. */
export class Quota {
  readonly #max: number;
  readonly #open = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Opens one more for the holder, until it is disposed; `undefined` where that would be too many. */
  open(holder: string): Disposable | undefined {
    const count = this.#open.get(holder) ?? 0;
    if (count >= this.#max) return undefined;
    this.#open.set(holder, count + 1);
    let isOpen = true;
    return {
      [Symbol.dispose]: () => {
        if (isOpen) this.#close(holder);
        isOpen = false;
      },
    };
  }

  #close(holder: string): void {
    const count = (this.#open.get(holder) ?? 0) - 1;
    if (count > 0) this.#open.set(holder, count);
    else this.#open.delete(holder);
  }
}
