/** Lets a bounded number of tasks run at once. */
export interface Turns {
  /** Runs the task when it is its turn, first come, first served. */
  take<T>(task: () => Promise<T>): Promise<T>;
}

export function createTurns(maxAtOnce: number): Turns {
  const waiting: (() => void)[] = [];
  let free = maxAtOnce;
  return {
    async take(task) {
      if (free > 0) free -= 1;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      try {
        return await task();
      } finally {
        const next = waiting.shift();
        if (next === undefined) free += 1;
        else next();
      }
    },
  };
}
