import { readdir, readFile } from "node:fs/promises";

/** What a process uses, as Linux tells it. */
export interface Usage {
  readonly residentBytes: number;
  readonly cpuSeconds: number;
  readonly openFiles: number;
}

/** Linux counts the time of processes in hundredths of a second, whatever its kernel does inside. */
const ticksPerSecond = 100;

export async function usageOf(pid: number): Promise<Usage> {
  const [status, stat, files] = await Promise.all([
    readFile(`/proc/${pid}/status`, "utf8"),
    readFile(`/proc/${pid}/stat`, "utf8"),
    readdir(`/proc/${pid}/fd`),
  ]);
  const kibibytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
  // Behind the name, which may have blanks: state is the first field, user and system time the 12th and 13th.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  return {
    residentBytes: kibibytes * 1_024,
    cpuSeconds: ticks / ticksPerSecond,
    openFiles: files.length,
  };
}
