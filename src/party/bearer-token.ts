/** How long a token that does not say when it expires is used before it is asked for again, in milliseconds. */
const opaqueTokenMs = 4 * 60_000;

/** How much of a token's life is used: then there is time left to get the next one. */
const usedShare = 0.8;

export type TokenSource = () => string | Promise<string>;

/** The caller's bearer token: asked for when first needed, before it is old, and after it was refused. */
export class BearerToken {
  readonly #source: TokenSource | undefined;
  #asking: Promise<string> | undefined;
  #token: string | undefined;
  #oldAt = 0;
  #expiresAt = 0;

  constructor(source: TokenSource | undefined) {
    this.#source = source;
  }

  /** `undefined`: this party shows none. Rejects when the source does, unless the token at hand is still good. */
  async current(): Promise<string | undefined> {
    if (this.#source === undefined) return undefined;
    if (this.#token !== undefined && Date.now() < this.#oldAt) return this.#token;
    this.#asking ??= this.#ask(this.#source).finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  /** The router refused this token: it is not shown again, unless the source gives it again. */
  refused(token: string | undefined): void {
    if (token === this.#token) this.#token = undefined;
  }

  async #ask(source: TokenSource): Promise<string> {
    const [token, failure] = await settled(source);
    const now = Date.now();
    if (token === undefined) {
      if (this.#token !== undefined && now < this.#expiresAt) return this.#token;
      throw failure;
    }
    this.#token = token;
    this.#expiresAt = expiryOf(token) ?? now + opaqueTokenMs;
    this.#oldAt = now + Math.max(0, this.#expiresAt - now) * usedShare;
    return token;
  }
}

async function settled(source: TokenSource): Promise<readonly [string | undefined, unknown?]> {
  try {
    return [await source()];
  } catch (error) {
    return [undefined, error];
  }
}

/** When a JSON web token expires, in Unix milliseconds. It is read, not verified: that is the router's part. */
function expiryOf(token: string): number | undefined {
  const [, claims] = token.split(".");
  if (claims === undefined) return undefined;
  try {
    const text = atob(claims.replaceAll("-", "+").replaceAll("_", "/"));
    const { exp } = JSON.parse(text) as { readonly exp?: unknown };
    return typeof exp === "number" ? exp * 1_000 : undefined;
  } catch {
    // Not a web token: its owner alone knows when it expires.
    return undefined;
  }
}
