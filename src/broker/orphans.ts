import { setTimeout as pause } from "node:timers/promises";
import type { Logger } from "../telemetry/logger.ts";
import { BrokerStartError } from "./broker-errors.ts";
import { natsArguments } from "./nats-process.ts";
import { listProcesses } from "./process-list.ts";

export interface OrphanOptions {
  readonly logger: Logger;
  /** How long a server may take to end by SIGTERM, and then by SIGKILL, in milliseconds. */
  readonly patienceMs: number;
}

const pollMs = 20;

/**
 * Ends the nats-servers that run on this configuration file, which a router that was killed left behind: two on one
 * store would ruin it. Only for the holder of the lock of the data directory. They are known by their command lines,
 * read right before the signal, and not by a noted process id, which may be somebody else's by now.
 */
export async function endOrphans(configPath: string, options: OrphanOptions): Promise<void> {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    const pids = await findServers(configPath);
    for (const pid of pids) {
      options.logger.warn(
        { pid, signal },
        "ending the nats-server that a killed router left behind",
      );
      send(pid, signal);
    }
    if (await areGone(configPath, options.patienceMs)) return;
  }
  throw inTheWay("does not end");
}

async function findServers(configPath: string): Promise<readonly number[]> {
  const ending = ` ${natsArguments(configPath).join(" ")}`;
  const all = await listProcesses();
  return all.filter(({ commandLine }) => commandLine.endsWith(ending)).map(({ pid }) => pid);
}

async function areGone(configPath: string, patienceMs: number): Promise<boolean> {
  const deadline = performance.now() + patienceMs;
  while ((await findServers(configPath)).length > 0) {
    if (performance.now() > deadline) return false;
    await pause(pollMs);
  }
  return true;
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // It ended by itself in the meantime.
    if (code === "ESRCH") return;
    throw inTheWay(`cannot be ended (${code})`, error);
  }
}

function inTheWay(why: string, cause?: unknown): BrokerStartError {
  const what = "an earlier nats-server still works on the data directory and";
  return new BrokerStartError("DATA_DIR_IN_USE", `${what} ${why}`, cause);
}
