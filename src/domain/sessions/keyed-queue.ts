import { brokerUnavailable } from "../errors.ts";

/** Runs the tasks of one key one after the other, those of different keys side by side. */
export interface KeyedQueue {
  /** Rejects with BROKER_UNAVAILABLE when too many wait for the key, or the task's turn comes too late. */
  run<T>(key: string, task: () => Promise<T>): Promise<T>;
}

export interface KeyedQueueOptions {
  /** Tasks that may wait for one key. */
  readonly maxWaiting: number;
  /** How long a task may wait for its turn, in milliseconds: by then its caller has given up. */
  readonly maxWaitMs: number;
}

interface Lane {
  last: Promise<unknown>;
  waiting: number;
}

export function createKeyedQueue(options: KeyedQueueOptions): KeyedQueue {
  const lanes = new Map<string, Lane>();
  return {
    async run(key, task) {
      const lane = lanes.get(key) ?? { last: Promise.resolve(), waiting: 0 };
      if (lane.waiting >= options.maxWaiting) throw brokerUnavailable("waiting for the session");
      lanes.set(key, lane);
      lane.waiting += 1;
      const arrivedAt = performance.now();
      const turn = lane.last.then(() => {
        if (performance.now() - arrivedAt <= options.maxWaitMs) return task();
        throw brokerUnavailable("waiting for the session");
      });
      // The next one waits for this one's end, not for its success.
      lane.last = turn.catch(() => undefined);
      try {
        return await turn;
      } finally {
        lane.waiting -= 1;
        if (lane.waiting === 0) lanes.delete(key);
      }
    },
  };
}
