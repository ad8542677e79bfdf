import { runCommand } from "./command.ts";

/** The release that is fetched or built where none is installed. */
export const pinnedVersion = "2.15.2";

/** The oldest release with per-message time to live and asynchronous stream writes, which the router builds on. */
export const minimumVersion = "2.12.3";

const answerTimeoutMs = 5_000;

/** Resolves with the version a nats-server names, as `2.15.2`; rejects when the file is no nats-server of at least {@link minimumVersion}. */
export async function requireNatsServer(path: string, env: NodeJS.ProcessEnv): Promise<string> {
  const answer = await runCommand(path, ["--version"], { env, timeoutMs: answerTimeoutMs });
  const version = /^nats-server: v?(\d+\.\d+\.\d+)\b/.exec(answer)?.[1];
  if (version === undefined) throw new Error(`${path} does not answer as a nats-server`);
  if (isOlder(version, minimumVersion)) {
    throw new Error(`${path} is nats-server ${version}, at least ${minimumVersion} is needed`);
  }
  return version;
}

function isOlder(version: string, than: string): boolean {
  const [left, right] = [version, than].map((text) => text.split(".").map(Number));
  for (const [index, number] of (right ?? []).entries()) {
    const difference = (left?.[index] ?? 0) - number;
    if (difference !== 0) return difference < 0;
  }
  return false;
}
