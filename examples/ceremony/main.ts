import { Ceremony, type CeremonyResult } from "./ceremony.ts";
import { createIssuer } from "./issuer.ts";
import { readOptions, usage, type CeremonyOptions } from "./options.ts";
import { useRouter } from "./running-router.ts";
import { Story } from "./story.ts";

type Say = (line: string) => void;

/** The ceremony: exit code 0 only if every signature verifies. */
async function main(): Promise<number> {
  let options: CeremonyOptions;
  try {
    options = readOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n\n${usage}`);
    return 2;
  }
  if (options.help) {
    process.stdout.write(usage);
    return 0;
  }
  const storyOut = options.json ? process.stderr : process.stdout;
  const say: Say = (line) => void storyOut.write(`${line}\n`);
  const startedAt = performance.now();
  try {
    const { result, started, url } = await perform(options, say);
    const durationMs = Math.round(performance.now() - startedAt);
    const ok = result.runs.every((run) => run.verified);
    if (options.json) {
      const line = { ok, url, startedRouter: started, durationMs, ...result };
      process.stdout.write(`${JSON.stringify(line)}\n`);
    }
    return ok ? 0 : 1;
  } catch (error) {
    const message = messageOf(error);
    process.stderr.write(`The ceremony failed: ${message}\n`);
    if (options.json) process.stdout.write(`${JSON.stringify({ ok: false, error: message })}\n`);
    return 1;
  }
}

async function perform(
  options: CeremonyOptions,
  say: Say,
): Promise<{ result: CeremonyResult; started: boolean; url: string }> {
  const stop = new AbortController();
  let states = waitsForRouter;
  const deadline = setTimeout(() => {
    const seconds = options.deadlineMs / 1_000;
    stop.abort(new Error(`not done after ${seconds} s\n${indented(states())}`));
  }, options.deadlineMs);
  const onInterrupt = (): void => stop.abort(new Error(`interrupted\n${indented(states())}`));
  process.once("SIGINT", onInterrupt).once("SIGTERM", onInterrupt);
  try {
    const choice = { url: options.url, mayStart: options.mayStartRouter, say };
    await using router = await useRouter(choice, stop.signal);
    say(`A ceremony through the router at ${router.url}.`);
    const { runs, pauseMs } = options;
    const issuer = options.issuer && createIssuer(options.issuer);
    const settings = { url: router.url, issuer, runs, pauseMs };
    await using ceremony = new Ceremony(settings, new Story(say), stop.signal);
    states = () => ceremony.states();
    const result = await ceremony.run();
    return { result, started: router.started, url: router.url };
  } catch (error) {
    // What was cut short only knows that it was; the reason says who waited for whom.
    stop.signal.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(deadline);
    process.off("SIGINT", onInterrupt).off("SIGTERM", onInterrupt);
    stop.abort();
  }
}

function waitsForRouter(): readonly string[] {
  return ["the router is not ready"];
}

function indented(lines: readonly string[]): string {
  return lines.map((line) => `  ${line}`).join("\n");
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

process.exitCode = await main();
