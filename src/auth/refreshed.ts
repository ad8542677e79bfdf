import type { Clock } from "../domain/clock.ts";

/** What is read from elsewhere and may change there. The last good value stays while a new one cannot be had. */
export interface Refreshed<T> extends Disposable {
  /** Undefined until it was read for the first time. */
  value(): T | undefined;
  /** Counts the values there have been. */
  generation(): number;
  /** Looks now, unless that was done a moment ago. Never rejects. */
  refresh(): Promise<void>;
}

export interface RefreshOptions<T> {
  readonly load: (signal: AbortSignal) => Promise<Buffer>;
  /** Throws on what is no value. */
  readonly parse: (content: Buffer) => T;
  /** Time between two looks, in milliseconds. */
  readonly everyMs: number;
  /** Least time between two looks that somebody asks for, in milliseconds. */
  readonly cooldownMs: number;
  /** Told once of each time that the value cannot be had. */
  readonly onProblem: (error: unknown) => void;
  /** Told of each value after the first. */
  readonly onChange: () => void;
  readonly clock: Clock;
}

/** Nobody gets in before there is a value, so then it is looked for more often. */
const firstCooldownMs = 1_000;

/** Resolves after the first look, with or without a value. */
export async function keepRefreshed<T>(options: RefreshOptions<T>): Promise<Refreshed<T>> {
  const { load, parse, clock } = options;
  const stopping = new AbortController();
  let content: Buffer | undefined;
  let value: T | undefined;
  let generation = 0;
  let isFailing = false;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let looking: Promise<void> | undefined;

  const look = async (): Promise<void> => {
    lookedAt = clock.nowMs();
    try {
      const loaded = await load(stopping.signal);
      const isNew = content === undefined || !loaded.equals(content);
      if (isNew) {
        value = parse(loaded);
        content = loaded;
        generation += 1;
        if (generation > 1) options.onChange();
      }
      isFailing = false;
    } catch (error) {
      if (!isFailing && !stopping.signal.aborted) options.onProblem(error);
      isFailing = true;
    }
  };
  const lookOnce = (): Promise<void> => {
    looking ??= look().finally(() => (looking = undefined));
    return looking;
  };
  await lookOnce();
  const timer = setInterval(() => void lookOnce(), options.everyMs).unref();
  return {
    value: () => value,
    generation: () => generation,
    async refresh() {
      const cooldownMs = value === undefined ? firstCooldownMs : options.cooldownMs;
      if (looking !== undefined || clock.nowMs() - lookedAt >= cooldownMs) await lookOnce();
    },
    [Symbol.dispose]() {
      stopping.abort();
      clearInterval(timer);
    },
  };
}
