import { randomBytes } from "node:crypto";
import { mkdir, realpath, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Logger } from "../telemetry/logger.ts";
import { BrokerStartError } from "./broker-errors.ts";
import { lockDataDir } from "./data-dir-lock.ts";
import { startNatsProcess, type NatsProcess } from "./nats-process.ts";
import { endOrphans } from "./orphans.ts";
import { superviseNats, type Supervisor } from "./supervisor.ts";

export interface ManagedNatsOptions {
  /** Made where it does not exist. One router at a time. */
  readonly dataDir: string;
  readonly binaryPath: string;
  readonly logger: Logger;
  /** Aborted: the start is given up. A server that runs is ended by disposing it. */
  readonly signal?: AbortSignal;
}

/** A nats-server for this router alone, started again whenever it ends. Disposing ends it and frees the directory. */
export interface ManagedNats extends AsyncDisposable {
  /** The same for its whole life, over restarts, too. */
  readonly url: string;
  readonly user: string;
  readonly pass: string;
  /** Of the process that runs now, or ran last. */
  pid(): number;
}

const orphanPatienceMs = 5_000;

/**
 * Starts a nats-server on the data directory; resolves when it accepts clients. Rejects with a BrokerStartError. What
 * a killed router left running there is ended first.
 */
export async function startManagedNats(options: ManagedNatsOptions): Promise<ManagedNats> {
  const { logger } = options;
  const dataDir = await makeDataDir(options.dataDir);
  await using resources = new AsyncDisposableStack();
  resources.use(lockDataDir(dataDir));
  const configPath = join(dataDir, "nats-server.conf");
  await endOrphans(configPath, { logger, patienceMs: orphanPatienceMs });

  const credentials = { user: "mpc-router", pass: randomBytes(24).toString("base64url") };
  const start = (port: number, signal?: AbortSignal): Promise<NatsProcess> =>
    startNatsProcess({
      binaryPath: options.binaryPath,
      configPath,
      config: {
        port,
        storeDir: join(dataDir, "store"),
        portsDir: join(dataDir, "ports"),
        logFile: join(dataDir, "nats-server.log"),
        credentials,
      },
      detached: true,
      ...(signal === undefined ? {} : { signal }),
    });
  const first = await start(-1, options.signal);
  const { port } = first;
  const supervisor = superviseNats({ first, start: (signal) => start(port, signal), logger });
  // In force until the supervisor is disposed of, which takes its time.
  resources.defer(endWithProcess(supervisor));
  resources.use(supervisor);
  logger.info({ pid: first.pid, port, dataDir }, "nats-server is ready");

  const held = resources.move();
  let disposing: Promise<void> | undefined;
  return {
    url: `nats://127.0.0.1:${port}`,
    ...credentials,
    pid: () => supervisor.current().pid,
    [Symbol.asyncDispose]: () => (disposing ??= held.disposeAsync()),
  };
}

/** A router that ends without the time to dispose of anything takes its server with it. Returns the way to stop that. */
function endWithProcess(supervisor: Supervisor): () => void {
  const end = (): void => supervisor.current().kill("SIGKILL");
  process.once("exit", end);
  return () => void process.off("exit", end);
}

/** Node's own recursive form never ends where nothing can be made, as under /proc (Node 24.21). */
async function makeFolders(path: string): Promise<void> {
  const make = (): Promise<void> => mkdir(path, { mode: 0o700 });
  try {
    await make();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" && (await stat(path)).isDirectory()) return;
    if (code !== "ENOENT" || dirname(path) === path) throw error;
    await makeFolders(dirname(path));
    await make();
  }
}

/** Resolves with the one name of the directory, by which a server on it is found again. */
async function makeDataDir(path: string): Promise<string> {
  try {
    await makeFolders(resolve(path));
    return await realpath(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new BrokerStartError(
      "DATA_DIR_UNUSABLE",
      `cannot make the data directory ${path} (${code})`,
      error,
    );
  }
}
