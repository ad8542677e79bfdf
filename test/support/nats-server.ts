import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findNatsServer } from "../../src/broker/nats-binary.ts";
import { startNatsProcess, type NatsProcess } from "../../src/broker/nats-process.ts";

export interface NatsTestServer extends AsyncDisposable {
  /** Without credentials: everybody on this machine may connect. */
  readonly url: string;
  readonly storeDir: string;
  /** Of the process that runs now. */
  readonly pid: number;
  /** Resolves when the process is gone. It stays away until {@link restart}. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same port and store, ending it by SIGTERM where it still runs. */
  restart(): Promise<void>;
}

export interface NatsTestServerOptions {
  /** A fixed port, for a test that starts its server late. Default: a free one. */
  readonly port?: number;
}

/**
 * A nats-server of its own for a test, as the router runs it: JetStream with synced writes, 9 MB payloads. Its files
 * are in a directory under the one for temporary files, gone when it is disposed.
 */
export async function startNatsServer(
  options: NatsTestServerOptions = {},
): Promise<NatsTestServer> {
  const { path } = await findNatsServer({ env: process.env, onProgress: () => undefined });
  const directory = await mkdtemp(join(tmpdir(), "mpc-router-nats-"));
  const storeDir = join(directory, "store");
  const start = (port: number): Promise<NatsProcess> =>
    startNatsProcess({
      binaryPath: path,
      configPath: join(directory, "nats-server.conf"),
      config: {
        port,
        storeDir,
        portsDir: join(directory, "ports"),
        logFile: join(directory, "nats-server.log"),
      },
      detached: false,
    });
  let current = await start(options.port ?? -1);
  const { port } = current;
  // A test that throws away its server by crashing must not leave it on the machine.
  const onExit = (): void => current.kill("SIGKILL");
  process.once("exit", onExit);
  return {
    url: `nats://127.0.0.1:${port}`,
    storeDir,
    get pid() {
      return current.pid;
    },
    async kill(signal) {
      current.kill(signal);
      await current.exited;
    },
    async restart() {
      await current.stop();
      current = await start(port);
    },
    async [Symbol.asyncDispose]() {
      process.off("exit", onExit);
      await current.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
