import { spawn } from "node:child_process";
import { once } from "node:events";
import { findNatsServer } from "../../../src/broker/nats-binary.ts";
import { until } from "../../support/until.ts";

/** A nats-server that is not as the router would run it; `url` has no scheme. */
export async function startOtherNats(
  args: readonly string[],
): Promise<AsyncDisposable & { readonly url: string }> {
  const { path } = await findNatsServer({ env: process.env, onProgress: () => undefined });
  const child = spawn(path, ["-a", "127.0.0.1", "-p", "-1", ...args], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const exited = once(child, "exit");
  let log = "";
  child.stderr.on("data", (chunk: Buffer) => (log += chunk.toString()));
  await until("the nats-server is ready", () => log.includes("Server is ready"));
  const [, port] = /client connections on 127\.0\.0\.1:(\d+)/.exec(log) ?? [];
  return {
    url: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}
