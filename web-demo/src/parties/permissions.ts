/** Permissions by key, each used up by one taker, whichever of the two comes first. The newest of a key counts. */
export class Permissions<T> {
  readonly #granted = new Map<string, T>();
  readonly #takers = new Map<string, (value: T) => void>();

  /** Resolves once the permission is there, and uses it up. */
  async take(key: string): Promise<T> {
    const granted = this.#granted.get(key);
    if (granted !== undefined) {
      this.#granted.delete(key);
      return granted;
    }
    return new Promise((resolve) => this.#takers.set(key, resolve));
  }

  grant(key: string, value: T): void {
    const taker = this.#takers.get(key);
    this.#takers.delete(key);
    if (taker === undefined) this.#granted.set(key, value);
    else taker(value);
  }
}
