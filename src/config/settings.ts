import { contradictions } from "./contradictions.ts";
import { readFlags } from "./flags.ts";
import type { Parsed } from "./kinds.ts";
import { settingsTable, type Setting, type Settings } from "./settings-table.ts";
import { unknownVariables } from "./variables.ts";

/** What the command line asks for. */
export type CheckedSettings =
  | {
      readonly kind: "serve";
      /** Without those that have a problem; complete when there is none. */
      readonly settings: Partial<Settings>;
      /** One line each. */
      readonly problems: readonly string[];
    }
  | { readonly kind: "help" }
  | { readonly kind: "version" };

type AnySetting = Setting<unknown>;

const table: Readonly<Record<keyof Settings, AnySetting>> = settingsTable;
const rows = Object.entries(table);
const switches: ReadonlyMap<string, "help" | "version"> = new Map([
  ["--help", "help"],
  ["-h", "help"],
  ["--version", "version"],
]);

/**
 * The settings from the arguments (without program and script) and the environment, with everything that is wrong; a
 * flag wins over a variable, and an empty variable counts as not set. Files that are named are not looked at.
 */
export function checkSettings(args: readonly string[], env: NodeJS.ProcessEnv): CheckedSettings {
  const flags = readFlags(args, {
    settings: rows.map(([, setting]) => setting.flag),
    booleans: rows
      .filter(([, setting]) => setting.kind.name === "true or false")
      .map(([, setting]) => setting.flag),
    switches: [...switches.keys()],
  });
  for (const [flag, kind] of switches) {
    if (flags.switches.has(flag)) return { kind };
  }
  const problems = [
    ...flags.problems,
    ...unknownVariables(
      env,
      rows.map(([, setting]) => setting.env),
    ),
  ];
  const values: Record<string, unknown> = {};
  for (const [name, setting] of rows) {
    const given = givenText(setting, flags.texts, env);
    const parsed = parse(setting, given?.text);
    if (parsed.ok) values[name] = parsed.value;
    else problems.push(badValue(setting, given, parsed.problem));
  }
  // Each value has just been parsed by the row of its name.
  const settings = values as unknown as Partial<Settings>;
  problems.push(...contradictions(settings));
  return { kind: "serve", settings, problems };
}

interface Given {
  /** The flag or variable. */
  readonly origin: string;
  readonly text: string;
}

function givenText(
  { flag, env: variable }: AnySetting,
  texts: ReadonlyMap<string, string>,
  env: NodeJS.ProcessEnv,
): Given | undefined {
  const fromFlag = texts.get(flag);
  if (fromFlag !== undefined) return { origin: flag, text: fromFlag };
  const fromVariable = env[variable] ?? "";
  return fromVariable === "" ? undefined : { origin: variable, text: fromVariable };
}

function parse({ kind, defaultText }: AnySetting, given: string | undefined): Parsed<unknown> {
  const text = given ?? defaultText;
  return text === undefined ? { ok: true, value: undefined } : kind.parse(text);
}

const shownCharacters = 100;

function badValue({ kind, flag }: AnySetting, given: Given | undefined, problem: string): string {
  const origin = given?.origin ?? `the default of ${flag}`;
  if (kind.isSecret || given === undefined) return `${origin}: the value ${problem}`;
  return `${origin}: ${JSON.stringify(given.text.slice(0, shownCharacters))} ${problem}`;
}
