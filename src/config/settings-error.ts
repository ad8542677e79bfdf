/** What is wrong with the settings, all of it. The caller prints the message and exits with {@link badSettingsExitCode}. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
  readonly problems: readonly string[];

  /** `problems`: one line each, naming the setting, never the value of a secret one. */
  constructor(problems: readonly string[]) {
    super(`these settings are wrong:\n${problems.map((problem) => `  ${problem}`).join("\n")}`);
    this.problems = problems;
  }
}

/** EX_CONFIG of sysexits.h. */
export const badSettingsExitCode = 78;
