import type { Clock } from "../domain/clock.ts";
import { parseKeySet, parseSecret } from "./key-forms.ts";
import { KeyProblem, loadFile, loadUrl } from "./key-sources.ts";
import { keepRefreshed, type Refreshed } from "./refreshed.ts";
import { createTokenKeys, type TokenKeys } from "./token-keys.ts";

/** Where keys are, and the setting that says so. */
export interface KeyPlace {
  readonly setting: string;
  readonly place: string;
}

export interface TokenKeyOptions {
  /** URL or path of a JSON web key set. */
  readonly keySet: KeyPlace | undefined;
  /** Path of the secret of HS256. */
  readonly secret: KeyPlace | undefined;
  /** Told, in one line, when keys cannot be read again, and when there are new ones. */
  readonly onNews: (news: string) => void;
  readonly clock: Clock;
}

/** A file is read so often, in milliseconds: watching misses the swapped links of mounted secrets. */
const fileEveryMs = 2_000;
/** A key that was withdrawn is refused after this time at the latest, in milliseconds. */
const urlEveryMs = 5 * 60_000;
/** Tokens with invented key ids do not become requests to whoever issues the keys. */
const cooldownMs = 30_000;

/** Throws a KeyProblem for a file that cannot be read; a URL that does not answer yet is asked again. */
export async function openTokenKeys(options: TokenKeyOptions): Promise<TokenKeys> {
  const { keySet, secret } = options;
  using resources = new DisposableStack();
  const opened = {
    keySet: keySet && resources.use(await open(keySet, parseKeySet, options)),
    secret: secret && resources.use(await open(secret, parseSecret, options)),
  };
  resources.move();
  return createTokenKeys(opened);
}

async function open<T>(
  { setting, place }: KeyPlace,
  parse: (content: Buffer) => T,
  { onNews, clock }: TokenKeyOptions,
): Promise<Refreshed<T>> {
  const isUrl = /^https?:\/\//.test(place);
  let problem = "";
  const refreshed = await keepRefreshed({
    load: (signal) => (isUrl ? loadUrl(place, signal) : loadFile(place, signal)),
    parse,
    everyMs: isUrl ? urlEveryMs : fileEveryMs,
    cooldownMs: isUrl ? cooldownMs : fileEveryMs,
    onProblem(error) {
      problem = `${setting}: ${place} ${error instanceof KeyProblem ? error.message : String(error)}`;
      onNews(problem);
    },
    onChange: () => onNews(`${setting}: the keys have changed`),
    clock,
  });
  if (isUrl || refreshed.value() !== undefined) return refreshed;
  refreshed[Symbol.dispose]();
  throw new KeyProblem(problem);
}
