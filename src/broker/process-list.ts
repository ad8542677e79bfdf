import { readdir, readFile } from "node:fs/promises";
import { runCommand } from "./command.ts";

export interface RunningProcess {
  readonly pid: number;
  /** Program and arguments, joined by spaces. */
  readonly commandLine: string;
}

const listTimeoutMs = 10_000;

/** All processes that this one can see and that have a command line, which those that ended but are unreaped have not. */
export async function listProcesses(): Promise<readonly RunningProcess[]> {
  if (process.platform === "linux") return fromProc();
  const [program, args] =
    process.platform === "win32"
      ? ["powershell", ["-NoProfile", "-Command", windowsListing]]
      : ["ps", ["-axww", "-o", "pid=,command="]];
  const text = await runCommand(program, args, { timeoutMs: listTimeoutMs });
  return text.split("\n").flatMap((line) => {
    const [, pid, commandLine] = /^\s*(\d+)\s+(.*\S)\s*$/.exec(line) ?? [];
    return commandLine === undefined ? [] : [{ pid: Number(pid), commandLine }];
  });
}

const windowsListing =
  'Get-CimInstance Win32_Process | ForEach-Object { "$($_.ProcessId) $($_.CommandLine)" }';

/** Read from /proc, since `ps` is missing in many container images. */
async function fromProc(): Promise<readonly RunningProcess[]> {
  const pids = (await readdir("/proc")).map(Number).filter(Number.isInteger);
  const found = await Promise.all(
    pids.map(async (pid) => {
      // A process may end while it is looked at.
      const raw = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      return { pid, commandLine: raw.replace(/\0$/, "").replaceAll("\0", " ") };
    }),
  );
  return found.filter(({ commandLine }) => commandLine !== "");
}
