/** Counts the time in which a busy machine did not let this process run. */
export function startLagMeter(): Disposable & { lagMs(): number } {
  const intervalMs = 50;
  let lastAt = performance.now();
  let lagMs = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    lagMs += Math.max(0, now - lastAt - intervalMs);
    lastAt = now;
  }, intervalMs);
  return { lagMs: () => lagMs, [Symbol.dispose]: () => clearInterval(timer) };
}
