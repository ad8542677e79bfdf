import { unknownName } from "./nearest-name.ts";

export interface Flags {
  /** The texts of `--name=text` and `--name text`, by flag. */
  readonly texts: ReadonlyMap<string, string>;
  /** The flags that stand alone. */
  readonly switches: ReadonlySet<string>;
  /** One line each; values are not quoted, since a misspelt flag may have a secret one. */
  readonly problems: readonly string[];
}

export interface KnownFlags {
  /** Such as `--listen`: a text follows. */
  readonly settings: readonly string[];
  /** Those of them that mean true where they stand alone; a text is attached to them or is not theirs. */
  readonly booleans: readonly string[];
  /** Such as `--help`: nothing follows. */
  readonly switches: readonly string[];
}

/** Takes the arguments of the command line apart. */
export function readFlags(args: readonly string[], known: KnownFlags): Flags {
  const texts = new Map<string, string>();
  const switches = new Set<string>();
  const problems: string[] = [];
  for (let index = 0; index < args.length; index += 1) {
    const { name, attached } = splitFlag(args[index] ?? "");
    const following = args[index + 1];
    const isFollowed = following !== undefined && !isFlag(following, known);
    if (known.switches.includes(name)) {
      if (attached !== undefined) problems.push(`${name} takes no value`);
      switches.add(name);
    } else if (!name.startsWith("-")) {
      problems.push(`argument ${index + 1} is no setting; they are given as --name=value`);
    } else {
      const isBoolean = known.booleans.includes(name);
      // The text after an unknown flag is taken for its value, so that one mistake is one problem.
      const isTaken = attached === undefined && isFollowed && !isBoolean;
      if (isTaken) index += 1;
      const alone = isBoolean ? "true" : undefined;
      const text = attached ?? (isTaken ? following : alone);
      const problem = problemOf(name, text, { known, isSecond: texts.has(name) });
      if (problem === undefined && text !== undefined) texts.set(name, text);
      else if (problem !== undefined) problems.push(problem);
    }
  }
  return { texts, switches, problems };
}

function isLong(flag: string): boolean {
  return flag.startsWith("--");
}

/** A single dash may start a value, such as that of a negative number, which is then refused as such. */
function isFlag(argument: string, { switches }: KnownFlags): boolean {
  return isLong(argument) || switches.includes(argument);
}

function splitFlag(argument: string): { readonly name: string; readonly attached?: string } {
  const equals = argument.indexOf("=");
  return argument.startsWith("-") && equals >= 0
    ? { name: argument.slice(0, equals), attached: argument.slice(equals + 1) }
    : { name: argument };
}

function problemOf(
  name: string,
  text: string | undefined,
  { known, isSecond }: { readonly known: KnownFlags; readonly isSecond: boolean },
): string | undefined {
  if (!known.settings.includes(name)) {
    return unknownName("--", name, [...known.settings, ...known.switches.filter(isLong)]);
  }
  if (text === undefined) return `${name} needs a value`;
  return isSecond ? `${name} is given more than once` : undefined;
}
