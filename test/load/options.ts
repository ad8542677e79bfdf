import { parseArgs } from "node:util";
import { bigMailboxes } from "./big-mailboxes.ts";
import type { LoadProgram } from "./program.ts";
import { slowReaders } from "./slow-readers.ts";
import { soak } from "./soak.ts";
import { idleStreams } from "./streams.ts";
import { tokens } from "./tokens.ts";

export const programs: readonly LoadProgram[] = [
  slowReaders,
  bigMailboxes,
  idleStreams,
  tokens,
  soak,
];

export interface LoadOptions {
  readonly programs: readonly LoadProgram[];
  /** Of the measured part of each; `undefined`: its own. */
  readonly seconds: number | undefined;
  /** One line of JSON a program instead of a table. */
  readonly json: boolean;
  readonly help: boolean;
}

const maxSeconds = 86_400;

/** Throws with a message for the user when the arguments are not understood. */
export function readOptions(args: readonly string[]): LoadOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string", multiple: true, default: [] },
      seconds: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const named = values.only.map((name) => {
    const program = programs.find((known) => known.name === name);
    if (program === undefined) throw new Error(`--only: there is no program ${name}`);
    return program;
  });
  return {
    programs: named.length === 0 ? programs : named,
    seconds: values.seconds === undefined ? undefined : requireSeconds(values.seconds),
    json: values.json,
    help: values.help,
  };
}

function requireSeconds(text: string): number {
  const seconds = Number(text);
  if (!/^\d+$/.test(text) || seconds < 1 || seconds > maxSeconds) {
    throw new Error(`--seconds must be a whole number from 1 to ${maxSeconds}`);
  }
  return seconds;
}

export const usage: string = `Usage: npm run test:load -- [options]

Runs a router under load, prints what was measured, and ends with 1 when a bar is missed.

  --only NAME    only this program; may be given several times
  --seconds N    how long each measures, 1 to ${maxSeconds}
  --json         print one line of JSON a program
  --help         print this

Programs:
${programs.map(({ name, about, defaultSeconds }) => `  ${name.padEnd(14)} ${about} (${defaultSeconds} s)`).join("\n")}
`;
