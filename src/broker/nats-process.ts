import { spawn, type ChildProcess } from "node:child_process";
import { mkdir, open, readdir, readFile, rm, type FileHandle } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { BrokerStartError } from "./broker-errors.ts";
import {
  askFill,
  askHealth,
  type Monitor,
  type StoreFill,
  type StoreHealth,
} from "./nats-health.ts";
import { writeNatsConfig, type NatsConfig } from "./nats-config.ts";

export interface NatsProcessOptions {
  readonly binaryPath: string;
  readonly configPath: string;
  readonly config: NatsConfig;
  /** In a process group of its own, so that Ctrl-C reaches the router alone, which then drains before it ends this. */
  readonly detached: boolean;
  /** Aborted: the start ends, with the process. */
  readonly signal?: AbortSignal;
}

export interface NatsExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A running nats-server that accepts clients. */
export interface NatsProcess {
  readonly pid: number;
  readonly port: number;
  /** Resolves when the process has ended; never rejects. */
  readonly exited: Promise<NatsExit>;
  kill(signal: NodeJS.Signals): void;
  /** How its store is; `undefined`: it does not answer, or has no `monitorPath`. */
  health(signal?: AbortSignal): Promise<StoreHealth | undefined>;
  /** How full its store is; rejects where it does not answer. */
  fill(signal?: AbortSignal): Promise<StoreFill>;
  /** Ends it: SIGTERM, SIGKILL after 5 s. Resolves when it is gone. */
  stop(): Promise<NatsExit>;
}

const pollMs = 5;
const infoTimeoutMs = 2_000;
const stopTimeoutMs = 5_000;
/** Long, because a large store is read through before the server accepts clients. */
const readyTimeoutMs = 600_000;

/** The arguments by which a process is known to be the nats-server of this configuration file. */
export function natsArguments(configPath: string): readonly string[] {
  return ["-c", configPath];
}

/**
 * Starts a nats-server; resolves when it accepts clients. Rejects with NATS_SERVER_FAILED when it ends before, with
 * DATA_DIR_UNUSABLE when its files cannot be written, and with the reason of the signal.
 */
export async function startNatsProcess(options: NatsProcessOptions): Promise<NatsProcess> {
  const { config, signal } = options;
  signal?.throwIfAborted();
  const { child, exited } = await spawnServer(options);
  const stop = (): Promise<NatsExit> => stopChild(child, exited);
  const timeout = AbortSignal.timeout(readyTimeoutMs);
  const waiting = new AbortController();
  const limits = [timeout, waiting.signal, ...(signal === undefined ? [] : [signal])];
  try {
    const ready = readyPorts(config.portsDir, AbortSignal.any(limits));
    const ports = await Promise.race([ready, exited.then(() => undefined)]);
    if (child.pid === undefined) throw startFailure(`${options.binaryPath} is no program`);
    if (ports === undefined) throw endedEarly(await exited, await lastLogLine(config.logFile));
    return {
      pid: child.pid,
      port: ports.client,
      exited,
      stop,
      kill: (name) => void child.kill(name),
      ...healthOf(monitorOf(ports, config)),
    };
  } catch (error) {
    await stop();
    throw timeout.aborted ? startFailure(`not ready in ${readyTimeoutMs} ms`) : error;
  } finally {
    waiting.abort();
  }
}

interface SpawnedServer {
  readonly child: ChildProcess;
  readonly exited: Promise<NatsExit>;
}

async function spawnServer(options: NatsProcessOptions): Promise<SpawnedServer> {
  const output = await prepareFiles(options);
  try {
    const child = spawn(options.binaryPath, natsArguments(options.configPath), {
      stdio: ["ignore", output.fd, output.fd],
      detached: options.detached,
      windowsHide: true,
    });
    // Listened to before anything is awaited, or a program that cannot be started would be an error nobody caught.
    return { child, exited: exitOf(child) };
  } finally {
    await output.close();
  }
}

/** Resolves with the log, for what the server says before it has read where to log. A pipe would break with us, and end it. */
async function prepareFiles({ config, configPath }: NatsProcessOptions): Promise<FileHandle> {
  try {
    await rm(config.portsDir, { recursive: true, force: true });
    await mkdir(config.portsDir, { recursive: true });
    await writeNatsConfig(configPath, config);
    return await open(config.logFile, "a", 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const what = `cannot write the files of nats-server beside ${configPath} (${code})`;
    throw new BrokerStartError("DATA_DIR_UNUSABLE", what, error);
  }
}

function exitOf(child: ChildProcess): Promise<NatsExit> {
  return new Promise((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
    child.once("error", () => {
      // Also emitted for a signal that could not be sent; without a pid there never was a process.
      if (child.pid === undefined) resolve({ code: null, signal: null });
    });
  });
}

async function stopChild(child: ChildProcess, exited: Promise<NatsExit>): Promise<NatsExit> {
  child.kill("SIGTERM");
  // One that was stopped would not hear of it.
  child.kill("SIGCONT");
  const timer = setTimeout(() => child.kill("SIGKILL"), stopTimeoutMs);
  try {
    return await exited;
  } finally {
    clearTimeout(timer);
  }
}

interface Ports {
  readonly client: number;
  readonly monitor: number | undefined;
}

async function readyPorts(portsDir: string, signal: AbortSignal): Promise<Ports> {
  for (;;) {
    // Also for a port that was given: whoever answers there need not be the process just started.
    const ports = await writtenPorts(portsDir);
    if (ports !== undefined && (await answersInfo(ports.client))) return ports;
    await pause(pollMs, undefined, { signal });
  }
}

/** The ports in the file that the server writes when it listens. */
async function writtenPorts(portsDir: string): Promise<Ports | undefined> {
  const [file] = await readdir(portsDir);
  if (file === undefined) return undefined;
  const text = await readFile(join(portsDir, file), "utf8");
  const [client, monitor] = ["nats", "http"].map((scheme) => {
    const port = new RegExp(`"${scheme}://127\\.0\\.0\\.1:(\\d+)"`).exec(text)?.[1];
    return port === undefined ? undefined : Number(port);
  });
  return client === undefined ? undefined : { client, monitor };
}

/** A client connects and is greeted. */
function answersInfo(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port, timeout: infoTimeoutMs });
    const settle = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("data", (bytes) => settle(bytes.toString("latin1").startsWith("INFO ")));
    socket.once("error", () => settle(false));
    socket.once("timeout", () => settle(false));
    socket.once("close", () => settle(false));
  });
}

function monitorOf(
  { monitor: port }: Ports,
  { monitorPath: path, storeDir }: NatsConfig,
): Monitor | undefined {
  return port === undefined || path === undefined ? undefined : { port, path, storeDir };
}

function healthOf(monitor: Monitor | undefined): Pick<NatsProcess, "health" | "fill"> {
  return {
    health: async (signal) => (monitor === undefined ? undefined : askHealth(monitor, signal)),
    async fill(signal) {
      if (monitor === undefined) throw new Error("this nats-server answers nobody how it is");
      return askFill(monitor, signal);
    },
  };
}

async function lastLogLine(logFile: string): Promise<string> {
  const log = await readFile(logFile, "utf8").catch(() => "");
  return `${log.trim().split("\n").at(-1) ?? ""} (${logFile})`;
}

function startFailure(why: string): BrokerStartError {
  return new BrokerStartError("NATS_SERVER_FAILED", `nats-server did not start: ${why}`);
}

/** One that was killed may be started again; one that ended by itself has said why. */
function endedEarly({ signal }: NatsExit, why: string): BrokerStartError {
  if (signal === null) return startFailure(why);
  const what = `nats-server was ended by ${signal} before it was ready`;
  return new BrokerStartError("NATS_SERVER_KILLED", what);
}
