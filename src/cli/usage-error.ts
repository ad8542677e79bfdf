/** What is wrong with what was asked for, in one line each; the caller prints it, and exits with {@link usageExitCode}. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** EX_USAGE of sysexits.h. */
export const usageExitCode = 64;

export function requireNone(problems: readonly string[]): void {
  if (problems.length > 0) throw new UsageError(problems.join("\n"));
}
