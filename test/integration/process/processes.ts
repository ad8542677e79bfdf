import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { listProcesses, type RunningProcess } from "../../../src/broker/process-list.ts";
import { until } from "../../support/until.ts";

export const mainPath: string = join(import.meta.dirname, "../../../src/main.ts");

/** The nats-servers that run on a data directory: their command lines name it. */
export async function natsServersOn(dataDir: string): Promise<readonly RunningProcess[]> {
  const all = await listProcesses();
  return all.filter(({ commandLine }) => commandLine.endsWith(`${dataDir}/nats-server.conf`));
}

/** Stops a process where it stands, until it gets SIGCONT; resolves when no thread of it runs any more. */
export async function freeze(pid: number): Promise<void> {
  process.kill(pid, "SIGSTOP");
  // Elsewhere there is no telling, and the signal is quick unless the machine is very busy.
  if (process.platform !== "linux") return;
  await until("every thread has stopped", async () => {
    const threads = await readdir(`/proc/${pid}/task`);
    const states = await Promise.all(
      threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/stat`, "utf8")),
    );
    return states.every((state) => /\) T /.test(state));
  });
}

/** A router that need not become ready. */
export interface StartingRouter extends AsyncDisposable {
  output(): string;
  kill(signal: NodeJS.Signals): void;
  /** Resolves with its exit code, or the name of the signal that ended it. */
  readonly exited: Promise<number | string>;
}

export function startProcess(args: readonly string[]): StartingRouter {
  const child = spawn(process.execPath, [mainPath, "--listen=127.0.0.1:0", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  child.stdout.on("data", (chunk: Buffer) => (printed += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (printed += chunk.toString()));
  const exited = once(child, "close").then(
    ([code, signal]) => (code as number | null) ?? (signal as string),
  );
  return {
    output: () => printed,
    kill: (signal) => void child.kill(signal),
    exited,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}
