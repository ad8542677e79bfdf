import { randomBytes } from "node:crypto";
import { mkdir, realpath, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Logger } from "../telemetry/logger.ts";
import { BrokerStartError } from "./broker-errors.ts";
import { lockDataDir } from "./data-dir-lock.ts";
import { diskProblem } from "./disk.ts";
import type { StoreFill } from "./nats-health.ts";
import { startNatsProcess, type NatsProcess } from "./nats-process.ts";
import { endOrphans } from "./orphans.ts";
import { openStoreMarks } from "./store-marks.ts";
import { watchStore, type StoreWatch } from "./store-watch.ts";
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
  readonly storeState: Pick<StoreWatch, "trouble" | "onChange">;
  /** How full its store is; rejects where it does not answer. */
  storeFill(signal: AbortSignal): Promise<StoreFill>;
}

const orphanPatienceMs = 5_000;
const firstStartTries = 5;
const firstStartPauseMs = 100;

/**
 * Starts a nats-server on the data directory; resolves when it accepts clients. Rejects with a BrokerStartError. What
 * a killed router left running there is ended first.
 */
export async function startManagedNats(options: ManagedNatsOptions): Promise<ManagedNats> {
  const { logger } = options;
  const dataDir = await makeDataDir(options.dataDir);
  await using resources = new AsyncDisposableStack();
  const storeDir = join(dataDir, "store");
  await requireDisk(storeDir);
  resources.use(lockDataDir(dataDir));
  const configPath = join(dataDir, "nats-server.conf");
  await endOrphans(configPath, { logger, patienceMs: orphanPatienceMs });

  const monitorPath = `/${randomBytes(24).toString("base64url")}`;
  const credentials = { user: "mpc-router", pass: randomBytes(24).toString("base64url") };
  const start = async (port: number, signal?: AbortSignal): Promise<NatsProcess> => {
    await requireDisk(storeDir);
    return startNatsProcess({
      binaryPath: options.binaryPath,
      configPath,
      config: {
        port,
        storeDir,
        portsDir: join(dataDir, "ports"),
        logFile: join(dataDir, "nats-server.log"),
        monitorPath,
        credentials,
      },
      detached: true,
      ...(signal === undefined ? {} : { signal }),
    });
  };
  const first = await startFirst((signal) => start(-1, signal), options);
  const { port } = first;
  const supervisor = superviseNats({ first, start: (signal) => start(port, signal), logger });
  // In force until the supervisor is disposed of, which takes its time.
  resources.defer(endWithProcess(supervisor));
  resources.use(supervisor);
  const storeState = resources.use(
    watchStore({
      marks: openStoreMarks(join(dataDir, "store-marks.json")),
      health: (watching) => supervisor.current().health(watching),
      isWritable: async () => (await diskProblem(storeDir)) === "",
      restart: () => supervisor.current().stop(),
      logger,
    }),
  );
  logger.info({ pid: first.pid, port, dataDir }, "nats-server is ready");

  const held = resources.move();
  let disposing: Promise<void> | undefined;
  return {
    url: `nats://127.0.0.1:${port}`,
    ...credentials,
    pid: () => supervisor.current().pid,
    storeState,
    storeFill: (asking) => supervisor.current().fill(asking),
    [Symbol.asyncDispose]: () => (disposing ??= held.disposeAsync()),
  };
}

/** One that is killed while it starts, as by an operating system out of memory, gets some more chances. */
async function startFirst(
  start: (signal: AbortSignal | undefined) => Promise<NatsProcess>,
  { logger, signal }: ManagedNatsOptions,
): Promise<NatsProcess> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await start(signal);
    } catch (error) {
      const wasKilled = error instanceof BrokerStartError && error.reason === "NATS_SERVER_KILLED";
      if (!wasKilled || tries === firstStartTries) throw error;
      logger.error({ err: error }, "starting nats-server again");
      await pause(
        firstStartPauseMs * 2 ** tries,
        undefined,
        signal === undefined ? {} : { signal },
      );
    }
  }
}

async function requireDisk(storeDir: string): Promise<void> {
  const problem = await diskProblem(storeDir);
  if (problem === "") return;
  const what = `the disk of the data directory is of no use, ${storeDir}: ${problem}`;
  throw new BrokerStartError("DATA_DIR_UNUSABLE", what);
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
