import type { WantedTokens } from "../model/state.ts";
import type { Store } from "../model/store.ts";
import { refusalOf } from "./admission.ts";
import { missingOf } from "./missing.ts";
import { keyOf, type Holder, type Token } from "./tokens.ts";

/** Where one caller gets its token from, each time it needs it. */
export interface Credential {
  /** Resolves with a token that has not expired, for which the user may be asked; `undefined`: none is needed. */
  current(): Promise<string | undefined>;
  /** As `current`, after the router was asked: for callers that do not say what it said to them. */
  checked(): Promise<string | undefined>;
  /** The router would not have this one: it is not given again. */
  refused(token: string): void;
}

/** The credentials of all who run in this page. They are in its memory and nowhere else. */
export class Credentials {
  /** Whether the router wants any. */
  readonly areWanted: boolean;
  readonly #store: Store;
  readonly #origin: string;
  readonly #tokens = new Map<string, Token>();
  #given = Promise.withResolvers<void>();

  constructor(store: Store, origin: string, areWanted: boolean) {
    this.#store = store;
    this.#origin = origin;
    this.areWanted = areWanted;
  }

  /** Ids of the parties that there are tokens of, in the order they came. */
  get partyIds(): readonly string[] {
    return [...this.#tokens.values()].flatMap(({ holder }) =>
      holder.kind === "party" ? [holder.partyId] : [],
    );
  }

  /** Asks the user until all that is there. */
  async require(wanted: WantedTokens): Promise<void> {
    while (this.areWanted && missingOf(wanted, this.fresh()) !== undefined) {
      this.#want(wanted);
      await this.#given.promise;
    }
  }

  of(holder: Holder): Credential {
    const wanted = {
      coordinator: holder.kind === "coordinator",
      parties: holder.kind === "party" ? [holder.partyId] : [],
      leastParties: 0,
    };
    const key = keyOf(holder);
    const current = async (): Promise<string | undefined> => {
      await this.require(wanted);
      return this.#tokens.get(key)?.text;
    };
    const refused = (token: string): void => {
      if (this.#tokens.get(key)?.text === token) this.#tokens.delete(key);
    };
    const checked = async (): Promise<string | undefined> => {
      for (;;) {
        const token = await current();
        if (token === undefined || (await refusalOf(this.#origin, token)) === undefined)
          return token;
        refused(token);
      }
    };
    return { current, checked, refused };
  }

  /** Takes tokens that the router lets in; resolves with what it says of the others. */
  async offer(tokens: readonly Token[]): Promise<readonly string[]> {
    const refusals = await Promise.all(
      tokens.map(async (token) => {
        const refusal = await refusalOf(this.#origin, token.text);
        return refusal === undefined ? [] : [`${keyOf(token.holder)}: ${refusal}`];
      }),
    );
    const problems = refusals.flat();
    if (problems.length > 0) return problems;
    for (const token of tokens) this.#tokens.set(keyOf(token.holder), token);
    this.#store.update((state) => ({ ...state, wanted: undefined }));
    this.#given.resolve();
    this.#given = Promise.withResolvers();
    return [];
  }

  /** Those that have not expired. */
  fresh(): readonly Token[] {
    return [...this.#tokens.values()].filter(({ expiresAtMs }) => Date.now() < expiresAtMs);
  }

  /** Adds to what the user is asked for already. */
  #want(wanted: WantedTokens): void {
    const before = this.#store.state.wanted;
    this.#store.update((state) => ({
      ...state,
      wanted: {
        coordinator: wanted.coordinator || before?.coordinator === true,
        parties: [...new Set([...(before?.parties ?? []), ...wanted.parties])],
        leastParties: Math.max(wanted.leastParties, before?.leastParties ?? 0),
      },
    }));
  }
}
