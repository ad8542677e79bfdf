/** Wakes a loop that waits for something to have happened. A ring that nobody waits for is not lost. */
export interface Bell {
  ring(): void;
  /** Resolves at once when it has rung since the last wait. One waits at a time. */
  rung(): Promise<void>;
}

export function createBell(): Bell {
  let hasRung = false;
  let wake: (() => void) | undefined;
  return {
    ring() {
      hasRung = true;
      wake?.();
    },
    async rung() {
      if (!hasRung) await new Promise<void>((resolve) => (wake = resolve));
      hasRung = false;
      wake = undefined;
    },
  };
}
