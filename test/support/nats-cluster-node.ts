import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, open, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { until } from "./until.ts";

export interface ClusterNodeOptions {
  readonly name: string;
  readonly binaryPath: string;
  /** For its files, which outlive its process. */
  readonly directory: string;
  /** Ports for clients, for the other servers and for questions by HTTP. */
  readonly client: number;
  readonly route: number;
  readonly monitor: number;
  readonly routes: readonly string[];
}

/** One nats-server of a cluster. */
export interface ClusterNode {
  readonly name: string;
  readonly url: string;
  readonly pid: number;
  /** Neither gone nor stopped. */
  isRunning(): boolean;
  /** Resolves when clients may connect. */
  accepting(): Promise<void>;
  /** Whether it has caught up with the others. */
  isHealthy(): Promise<boolean>;
  metaLeader(): Promise<string | undefined>;
  signal(name: NodeJS.Signals): void;
  kill(signal: NodeJS.Signals): Promise<void>;
  restart(): Promise<void>;
}

export async function startClusterNode(options: ClusterNodeOptions): Promise<ClusterNode> {
  const { name, client, directory } = options;
  await mkdir(directory, { recursive: true });
  const configPath = join(directory, "nats-server.conf");
  await writeFile(configPath, configOf(options));
  const start = async (): Promise<ChildProcess> => {
    const log = await open(join(directory, "nats-server.log"), "a");
    try {
      return spawn(options.binaryPath, ["-c", configPath], { stdio: ["ignore", log.fd, log.fd] });
    } finally {
      await log.close();
    }
  };
  let child = await start();
  let isStopped = false;
  const isGone = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const signal = (sent: NodeJS.Signals): void => {
    if (sent === "SIGSTOP" || sent === "SIGCONT") isStopped = sent === "SIGSTOP";
    child.kill(sent);
  };
  const kill = async (sent: NodeJS.Signals): Promise<void> => {
    if (isGone()) return;
    const exited = once(child, "exit");
    signal(sent);
    // A stopped process takes no signal but SIGKILL.
    if (isStopped && sent !== "SIGKILL") signal("SIGCONT");
    await exited;
    isStopped = false;
  };
  const accepting = (): Promise<void> => until(`${name} listens`, () => listens(client));
  return {
    name,
    url: `nats://127.0.0.1:${client}`,
    get pid() {
      return child.pid ?? 0;
    },
    isRunning: () => !isGone() && !isStopped,
    accepting,
    isHealthy: async () => (await ask(options, "healthz"))?.["status"] === "ok",
    async metaLeader() {
      const meta = (await ask(options, "jsz"))?.["meta_cluster"] as { leader?: string } | undefined;
      return meta?.leader;
    },
    signal,
    kill,
    async restart() {
      await kill("SIGTERM");
      child = await start();
      await accepting();
    },
  };
}

/** As the router's own nats-server is set up, where it matters: synced writes and 9 MB payloads. */
function configOf({ name, directory, client, route, monitor, routes }: ClusterNodeOptions): string {
  return [
    `server_name: ${name}`,
    `listen: "127.0.0.1:${client}"`,
    `http: "127.0.0.1:${monitor}"`,
    "max_payload: 9437184",
    "jetstream {",
    `  store_dir: ${JSON.stringify(join(directory, "store"))}`,
    "  sync_interval: always",
    "  max_memory_store: 1073741824",
    "}",
    "cluster {",
    "  name: mpc",
    `  listen: "127.0.0.1:${route}"`,
    `  routes: ${JSON.stringify(routes)}`,
    "}",
    "",
  ].join("\n");
}

async function ask(
  { monitor }: ClusterNodeOptions,
  what: string,
): Promise<Record<string, unknown> | undefined> {
  try {
    const signal = AbortSignal.timeout(1_000);
    const answer = await fetch(`http://127.0.0.1:${monitor}/${what}`, { signal });
    return (await answer.json()) as Record<string, unknown>;
  } catch {
    // It starts or has gone.
    return undefined;
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    const settle = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("data", () => settle(true));
    socket.once("error", () => settle(false));
  });
}

/** Free ports below those that outgoing connections use, which could be taken while a server is away. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const found = new Set<number>();
  while (found.size < count) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if (await isFree(port)) found.add(port);
  }
  return [...found];
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    server.close();
    await once(server, "close");
    return true;
  } catch {
    return false;
  }
}
