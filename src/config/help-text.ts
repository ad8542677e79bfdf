import { settingsTable } from "./settings-table.ts";

/** What `--help` prints: all settings, with their variables, ranges and defaults. */
export function helpText(): string {
  const settings = Object.values(settingsTable).map(
    ({ flag, env, kind, defaultText, description }) =>
      [
        kind.name === "true or false" ? `  ${flag}` : `  ${flag} <${kind.name}>`,
        `      ${description}`,
        `      ${env}; ${kind.range}${defaultText === undefined ? "" : `; default ${defaultText}`}`,
      ].join("\n"),
  );
  return [
    "Usage: mpc-router [--name=value …]",
    "       mpc-router token --help (keys and tokens for development)",
    "",
    "Each setting is a flag or an environment variable; the flag wins.",
    "",
    ...settings,
    "  --help, --version",
    "",
  ].join("\n");
}
