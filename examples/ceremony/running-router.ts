import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";

const stopGraceMs = 10_000;
const namedRouterMs = 10_000;
const readyPollMs = 50;
const probeTimeoutMs = 2_000;

/** A router for as long as the ceremony takes: one that ran already, or one that is stopped at the end. */
export interface RunningRouter extends AsyncDisposable {
  readonly url: string;
  readonly started: boolean;
}

export interface RouterChoice {
  readonly url: string;
  readonly mayStart: boolean;
  readonly say: (line: string) => void;
}

/** The router at the URL; if none is ready there and it may, a new one with a data directory of its own. */
export async function useRouter(choice: RouterChoice, signal: AbortSignal): Promise<RunningRouter> {
  if (!choice.mayStart) await becomesReady(choice.url, signal);
  if (!choice.mayStart || (await isReady(choice.url))) {
    return { url: choice.url, started: false, [Symbol.asyncDispose]: async () => undefined };
  }
  const router = await startRouter(choice.say, signal);
  choice.say(`No router is ready at ${choice.url}: started one at ${router.url}.`);
  return router;
}

/** A router that was named may be on its way up; it is given 10 s. */
async function becomesReady(url: string, signal: AbortSignal): Promise<void> {
  const lastTryAt = performance.now() + namedRouterMs;
  while (!(await isReady(url))) {
    if (performance.now() > lastTryAt) throw new Error(`no router is ready at ${url}`);
    await sleep(readyPollMs, undefined, { signal });
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(probeTimeoutMs) });
    await answer.body?.cancel();
    return answer.ok;
  } catch {
    // Refused, unreachable or silent: whatever it is, no router is ready there.
    return false;
  }
}

async function startRouter(
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<RunningRouter> {
  const listen = `127.0.0.1:${await freePort()}`;
  const dataDir = await mkdtemp(join(tmpdir(), "mpc-router-ceremony-"));
  const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
  const child = spawn(process.execPath, [main, "--listen", listen, "--data-dir", dataDir], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output.push(text);
      // Fetching the NATS server may take a minute: somebody who waits wants to know.
      if (text.includes("nats-server")) say(text.trimEnd());
      if (output.length > 100) output.shift();
    });
  }
  const stop = atMostOnce(async () => {
    await stopChild(child);
    await rm(dataDir, { recursive: true, force: true });
  });
  const url = `http://${listen}`;
  try {
    while (!(await isReady(url))) {
      if (hasEnded(child)) throw new Error(`the router did not start:\n${output.join("")}`);
      await sleep(readyPollMs, undefined, { signal });
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, started: true, [Symbol.asyncDispose]: stop };
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const killer = setTimeout(() => child.kill("SIGKILL"), stopGraceMs);
  await ended;
  clearTimeout(killer);
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Runs the action at the first call; later calls share its end. */
function atMostOnce(action: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return async () => (running ??= action());
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
