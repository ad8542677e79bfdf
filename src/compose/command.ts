import { readFileSync } from "node:fs";
import { helpText } from "../config/help-text.ts";
import { readInvocation } from "../config/invocation.ts";
import { createLogger, type Logger } from "../telemetry/logger.ts";
import { bannerText } from "./banner.ts";
import { startRouter, type RouterOptions, type RunningRouter } from "./router.ts";

/** A drain that takes longer than this, in milliseconds, is cut: whoever stops us would kill us soon. */
const maxDrainMs = 9_000;

/** Does what the arguments ask for; with a router that runs, it ends the process itself, when it is told to stop. */
export async function runRouter(args: readonly string[]): Promise<void> {
  const invocation = await readInvocation(args, process.env);
  if (invocation.kind === "help") process.stdout.write(helpText());
  else if (invocation.kind === "version") process.stdout.write(`${version()}\n`);
  else await serve(invocation);
}

async function serve(options: Pick<RouterOptions, "settings" | "sealKeys">): Promise<void> {
  const logger = createLogger({ level: options.settings.logLevel });
  const stopping = new AbortController();
  // Listened to until the end: npm passes on a Ctrl-C that the terminal has sent already, and the second must not kill.
  for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, () => stopping.abort());
  const { signal } = stopping;
  signal.addEventListener("abort", () => {
    logger.info({}, "stopping");
    cutAfter(maxDrainMs, logger);
  });
  const router = await start({ ...options, logger, signal });
  if (router !== undefined) {
    process.stdout.write(bannerText({ version: version(), ...router }));
    await aborted(signal);
    await router[Symbol.asyncDispose]();
  }
  logger.info({}, "stopped");
  process.exit(0);
}

/** `undefined`: told to stop before it was ready, which is no failure. */
async function start(
  options: Pick<RouterOptions, "settings" | "sealKeys" | "logger" | "signal">,
): Promise<RunningRouter | undefined> {
  try {
    return await startRouter({
      ...options,
      env: process.env,
      onProgress: (line) => process.stdout.write(`${line}\n`),
    });
  } catch (error) {
    if (options.signal.aborted) return undefined;
    throw error;
  }
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
  const file = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(file) as { readonly version: string }).version;
}
