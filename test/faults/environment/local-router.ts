import { startRouter } from "../../../src/compose/router.ts";
import { readInvocation } from "../../../src/config/invocation.ts";
import { createLogger } from "../../../src/telemetry/logger.ts";
import { probe } from "../../integration/process/clients.ts";
import { natsServersOn } from "../../integration/process/processes.ts";

/** A router in this process that runs a nats-server of its own, a real process, on a directory of the test. */
export interface LocalRouter extends AsyncDisposable {
  readonly url: string;
  /** What it has logged so far. */
  log(): string;
  /** Of the nats-server that it runs now. */
  natsPid(): Promise<number>;
  isReady(): Promise<boolean>;
}

export async function startLocalRouter(
  dataDir: string,
  flags: readonly string[] = [],
): Promise<LocalRouter> {
  const args = ["--listen=127.0.0.1:0", `--data-dir=${dataDir}`, ...flags];
  const invocation = await readInvocation(args, {});
  if (invocation.kind !== "serve") throw new Error("these flags ask for no router");
  let lines = "";
  const destination = { write: (line: string) => void (lines += line) };
  const router = await startRouter({
    ...invocation,
    logger: createLogger({ level: "info", destination }),
    env: process.env,
    onProgress: () => undefined,
    signal: new AbortController().signal,
  });
  const url = `http://127.0.0.1:${router.address.port}`;
  return {
    url,
    log: () => lines,
    async natsPid() {
      const [nats] = await natsServersOn(dataDir);
      if (nats === undefined) throw new Error("no nats-server runs on the data directory");
      return nats.pid;
    },
    isReady: async () => (await probe(url, "/readyz"))[0] === 200,
    [Symbol.asyncDispose]: () => router[Symbol.asyncDispose](),
  };
}
