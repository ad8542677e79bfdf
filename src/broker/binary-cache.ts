import { chmod, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { cacheDirectory } from "../cache-directory.ts";
import { pinnedVersion } from "./nats-version.ts";

/** An operating system and processor as the releases of nats-server spell them, such as `linux-amd64`. */
export function platformName(): string {
  const system = process.platform === "win32" ? "windows" : process.platform;
  const processor = process.arch === "x64" ? "amd64" : process.arch;
  return `${system}-${processor}`;
}

/** `nats-server` as a program file is called here. */
export const programName: string = process.platform === "win32" ? "nats-server.exe" : "nats-server";

/** Where the pinned nats-server is kept for all routers of this user. */
export function cachedBinaryPath(env: NodeJS.ProcessEnv): string {
  const suffix = process.platform === "win32" ? ".exe" : "";
  return join(cacheDirectory(env), `nats-server-v${pinnedVersion}-${platformName()}${suffix}`);
}

/**
 * Has `make` put a program into an empty directory, and moves the file whose path it resolves with to `path` in one
 * step. So `path` never holds half a program, and two processes that do this at once do not disturb each other.
 */
export async function installProgram(
  path: string,
  make: (directory: string) => Promise<string>,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const workDirectory = await mkdtemp(join(dirname(path), ".making-"));
  try {
    const made = await make(workDirectory);
    await chmod(made, 0o755);
    await rename(made, path);
  } finally {
    await rm(workDirectory, { recursive: true, force: true });
  }
}
