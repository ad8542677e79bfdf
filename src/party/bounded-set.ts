/** Remembers the newest so many: what was added first is forgotten first. */
export class BoundedSet {
  readonly #values = new Set<string>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  has(value: string): boolean {
    return this.#values.has(value);
  }

  /** Says whether the value is new. */
  add(value: string): boolean {
    if (this.#values.has(value)) return false;
    this.#values.add(value);
    if (this.#values.size > this.#most) {
      const [oldest = ""] = this.#values;
      this.#values.delete(oldest);
    }
    return true;
  }
}
