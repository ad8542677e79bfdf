import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { environment, type Figure } from "./settings.ts";

const usage = `Usage: npm run test:faults -- [options] [files]

Kills real processes under load and audits what became of every message.

  --long       as often and as long as the promises say (half an hour); without it a few kills of each kind
  --seed N     draws the same again, a whole number; without it another one each time
  --rounds N   how often each test repeats what it does, 1 to 1000
  --help       print this

Files are those of test/faults to run; default all. On a failure the seed is printed.
`;

interface Options {
  readonly env: Readonly<Record<string, string>>;
  readonly files: readonly string[];
}

/** Exit code: 0 where everything held, 1 where something did not, 2 for bad arguments. */
async function main(args: readonly string[]): Promise<number> {
  let options: Options | undefined;
  try {
    options = readOptions(args);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage}`);
    return 2;
  }
  if (options === undefined) {
    process.stdout.write(usage);
    return 0;
  }
  const directory = await mkdtemp(join(tmpdir(), "mpc-router-faults-"));
  try {
    const figures = join(directory, "figures");
    const exitCode = await runTests(options, figures);
    process.stdout.write(await summaryOf(figures));
    return exitCode;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** `undefined`: help is asked for. */
function readOptions(args: readonly string[]): Options | undefined {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      long: { type: "boolean", default: false },
      seed: { type: "string" },
      rounds: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const { seed = String(Math.floor(Math.random() * 2 ** 31)), rounds } = values;
  requireWhole("--seed", seed, { least: 0, most: 2 ** 32 - 1 });
  if (rounds !== undefined) requireWhole("--rounds", rounds, { least: 1, most: 1_000 });
  const env = {
    [environment.long]: values.long ? "1" : "0",
    [environment.seed]: seed,
    ...(rounds === undefined ? {} : { [environment.rounds]: rounds }),
  };
  const all = join(import.meta.dirname, "**/*.test.ts");
  return { env, files: positionals.length === 0 ? [all] : positionals };
}

function requireWhole(name: string, text: string, range: { least: number; most: number }): void {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= range.least && value <= range.most) return;
  throw new Error(`${name} must be a whole number from ${range.least} to ${range.most}`);
}

/** One file after the other: they measure times. */
async function runTests({ env, files }: Options, figures: string): Promise<number> {
  process.stdout.write(`seed ${env[environment.seed]}\n`);
  const child = spawn(process.execPath, ["--test", "--test-concurrency=1", ...files], {
    stdio: "inherit",
    env: { ...process.env, ...env, [environment.figures]: figures },
  });
  // A terminal sends its interrupt to the tests as well, which end what they started.
  process.on("SIGINT", () => undefined);
  const [code] = (await once(child, "exit")) as [number | null];
  return code ?? 1;
}

async function summaryOf(path: string): Promise<string> {
  const text = await readFile(path, "utf8").catch(() => "");
  const lines = text.split("\n").filter((line) => line !== "");
  const shown = lines.map((line) => {
    const { what, value, bar } = JSON.parse(line) as Figure;
    return `  ${what}: ${value}${bar === undefined ? "" : ` (bar ${bar})`}\n`;
  });
  return shown.length === 0 ? "no figures\n" : `figures\n${shown.join("")}`;
}

process.exitCode = await main(process.argv.slice(2));
