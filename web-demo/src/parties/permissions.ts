/** Permissions by key, each used up by one taker, whichever of the two comes first. */
export class Permissions<T> {
  readonly #open = new Map<string, PromiseWithResolvers<T>>();

  /** Resolves once the permission is there, and uses it up. */
  async take(key: string): Promise<T> {
    const value = await this.#of(key).promise;
    this.#open.delete(key);
    return value;
  }

  grant(key: string, value: T): void {
    this.#of(key).resolve(value);
  }

  #of(key: string): PromiseWithResolvers<T> {
    const known = this.#open.get(key);
    if (known !== undefined) return known;
    const open = Promise.withResolvers<T>();
    this.#open.set(key, open);
    return open;
  }
}
