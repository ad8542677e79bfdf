import { readFileSync } from "node:fs";
import { bannerText } from "./compose/banner.ts";
import { BrokerStartError } from "./broker/broker-errors.ts";
import { helpText } from "./config/help-text.ts";
import { badSettingsExitCode, SettingsError } from "./config/settings-error.ts";
import { readSettings } from "./config/settings.ts";
import type { Settings } from "./config/settings-table.ts";
import { startRouter } from "./compose/router.ts";
import { StartError } from "./compose/start-error.ts";
import { createLogger, type Logger } from "./telemetry/logger.ts";

/** A drain that takes longer than this, in milliseconds, is cut: whoever stops us would kill us soon. */
const maxDrainMs = 9_500;

async function main(): Promise<void> {
  const invocation = readSettings(process.argv.slice(2), process.env);
  if (invocation.kind === "help") process.stdout.write(helpText());
  else if (invocation.kind === "version") process.stdout.write(`${version()}\n`);
  else await serve(invocation.settings);
}

async function serve(settings: Settings): Promise<void> {
  const logger = createLogger({ level: settings.logLevel });
  const stopping = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => stopping.abort());
  }
  const router = await startRouter({
    settings,
    logger,
    env: process.env,
    onProgress: (line) => process.stdout.write(`${line}\n`),
    signal: stopping.signal,
  });
  process.stdout.write(bannerText({ version: version(), ...router }));
  await aborted(stopping.signal);
  logger.info({}, "stopping");
  cutAfter(maxDrainMs, logger);
  await router[Symbol.asyncDispose]();
  logger.info({}, "stopped");
  process.exit(0);
}

function cutAfter(limitMs: number, logger: Logger): void {
  setTimeout(() => {
    logger.error({ limitMs }, "the drain took too long; what is left is cut");
    process.exit(0);
  }, limitMs).unref();
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function version(): string {
  const file = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(file) as { readonly version: string }).version;
}

/** What is the operator's to mend is said in one line; anything else is ours, and comes with its stack. */
function fail(error: unknown): never {
  if (error instanceof SettingsError) {
    process.stderr.write(`mpc-router: ${error.message}\n`);
    process.exit(badSettingsExitCode);
  }
  const isExpected = error instanceof BrokerStartError || error instanceof StartError;
  const text = isExpected ? error.message : String((error as Error).stack ?? error);
  process.stderr.write(`mpc-router: ${text}\n`);
  process.exit(1);
}

main().catch(fail);
