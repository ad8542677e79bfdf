import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listProcesses } from "../../src/broker/process-list.ts";

export interface RouterProcess extends AsyncDisposable {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** Of the process that runs now. */
  readonly pid: number;
  readonly dataDir: string;
  /** What it has printed so far, logs and banner. */
  output(): string;
  /** Resolves with its exit code, or the name of the signal that ended it. */
  kill(signal: NodeJS.Signals): Promise<number | string>;
  /** Starts it again on the same port and data directory; resolves when it is ready. */
  restart(): Promise<void>;
  /** SIGSTOP: its connections stay open and silent until {@link thaw}, or until it is killed. */
  freeze(): void;
  thaw(): void;
  /** Of the nats-server that it runs now; rejects when there is none. */
  natsPid(): Promise<number>;
}

export interface RouterProcessOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** A directory that the test owns. Default: one that is gone when the router is disposed. */
  readonly dataDir?: string;
}

const mainPath = join(import.meta.dirname, "../../src/main.ts");
/** Long, for a machine that has much else to do. */
const startLimitMs = 40_000;

/** A router as its users run it: a process of its own, with its own nats-server and data directory. */
export async function startRouter(options: RouterProcessOptions = {}): Promise<RouterProcess> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), "mpc-router-data-")));
  let port = 0;
  let printed = "";
  const start = async (): Promise<ChildProcess> => {
    const args = [`--listen=127.0.0.1:${port}`, `--data-dir=${dataDir}`, ...(options.args ?? [])];
    const started = spawn(process.execPath, [mainPath, ...args], {
      env: { ...process.env, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    port = await readyPort(started, (text) => (printed += text));
    return started;
  };
  let child = await start();
  const end = async (signal: NodeJS.Signals): Promise<number | string> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(signal);
      await once(child, "exit");
    }
    return child.exitCode ?? child.signalCode ?? "";
  };
  const onExit = (): void => void child.kill("SIGKILL");
  process.once("exit", onExit);
  return {
    url: `http://127.0.0.1:${port}`,
    host: "127.0.0.1",
    port,
    dataDir,
    get pid() {
      return child.pid ?? 0;
    },
    output: () => printed,
    kill: end,
    async restart() {
      await end("SIGTERM");
      child = await start();
    },
    freeze: () => void child.kill("SIGSTOP"),
    thaw: () => void child.kill("SIGCONT"),
    async natsPid() {
      const running = await listProcesses();
      const nats = running.find(({ commandLine }) =>
        commandLine.endsWith(`${dataDir}/nats-server.conf`),
      );
      if (nats === undefined) throw new Error("no nats-server runs on the data directory");
      return nats.pid;
    },
    async [Symbol.asyncDispose]() {
      process.off("exit", onExit);
      await end("SIGTERM");
      if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** The port that the banner names; rejects with all that was printed when none comes. */
function readyPort(child: ChildProcess, onText: (text: string) => void): Promise<number> {
  let text = "";
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`the router is not ready after ${startLimitMs} ms:\n${text}`));
    }, startLimitMs);
    const onData = (chunk: Buffer): void => {
      text += chunk.toString();
      onText(chunk.toString());
      const found = /is ready on http:\/\/[^ ]*:(\d+) /.exec(text);
      if (found === null) return;
      clearTimeout(timer);
      resolve(Number(found[1]));
    };
    child.stdout?.on("data", onData);
    child.stderr?.on("data", onData);
    child.once("exit", (code, signal) => {
      clearTimeout(timer);
      reject(new Error(`the router ended (${code ?? signal}):\n${text}`));
    });
  });
}
