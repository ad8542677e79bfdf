import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { until } from "../support/until.ts";

const program = fileURLToPath(new URL("../../examples/ceremony/main.ts", import.meta.url));

export interface CeremonyRun {
  /** Resolves when the story tells of it. */
  reached(words: string): Promise<void>;
  /** Resolves with its exit code, 0 only when the signature verifies, and how long it took. */
  readonly ended: Promise<{ readonly exitCode: number | null; readonly tookMs: number }>;
  /** The story, and what went wrong. */
  output(): string;
}

/** The ceremony of the examples: three party processes, each of another protocol, make a key and sign with it. */
export function startCeremony(url: string, deadlineMs: number): CeremonyRun {
  const startedAt = performance.now();
  const seconds = String(Math.ceil(deadlineMs / 1_000));
  const args = [program, "--url", url, "--pause-ms", "250", "--deadline-s", seconds, "--json"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  }
  const onExit = (): void => void child.kill("SIGKILL");
  process.once("exit", onExit);
  const ended = once(child, "close").then(([code]) => {
    process.off("exit", onExit);
    return { exitCode: code as number | null, tookMs: performance.now() - startedAt };
  });
  return {
    reached: (words) => until(`the ceremony reaches ${words}`, () => text.includes(words), 30_000),
    ended,
    output: () => text,
  };
}
