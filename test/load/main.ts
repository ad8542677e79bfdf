import { isMet, tableOf, type Findings } from "./figures.ts";
import { readOptions, usage, type LoadOptions } from "./options.ts";
import type { LoadProgram } from "./program.ts";

const badOptionsExitCode = 2;

async function main(): Promise<void> {
  const options = optionsOf(process.argv.slice(2));
  if (options.help) {
    process.stdout.write(usage);
    return;
  }
  for (const program of options.programs) {
    const findings = await program.run("full", options.seconds ?? program.defaultSeconds);
    process.stdout.write(textOf(program, findings, options));
    if (!findings.figures.every(isMet) || findings.faults.length > 0) process.exitCode = 1;
  }
}

function optionsOf(args: readonly string[]): LoadOptions {
  try {
    return readOptions(args);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage}`);
    process.exit(badOptionsExitCode);
  }
}

function textOf({ name, about }: LoadProgram, findings: Findings, { json }: LoadOptions): string {
  return json
    ? `${JSON.stringify({ program: name, ...findings })}\n`
    : `${name}: ${about}\n${tableOf(findings)}\n`;
}

// What a run has started ends with this process, which a signal alone would not see to.
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => process.exit(1));
await main();
