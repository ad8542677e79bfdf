import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { cachedBinaryPath, installProgram, programName } from "./binary-cache.ts";
import { BrokerStartError } from "./broker-errors.ts";
import { runCommand } from "./command.ts";
import { fetchRelease, releaseUrl } from "./nats-release.ts";
import { minimumVersion, pinnedVersion, requireNatsServer } from "./nats-version.ts";

export interface NatsBinaryOptions {
  /**
   * Where programs are looked up and what they are started with. Of it are read: `NATS_SERVER_BIN`, `PATH`,
   * `XDG_CACHE_HOME`, `HOME`.
   */
  readonly env: NodeJS.ProcessEnv;
  /** Told, in one line each, what takes time and what was set but does not work. */
  readonly onProgress: (line: string) => void;
  /** Directory of the release, by default the one on GitHub. */
  readonly releaseBaseUrl?: string;
  /** How long the host of the release may take to answer, in milliseconds. Default: 4,000. */
  readonly connectTimeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface NatsBinary {
  readonly path: string;
  /** As in `2.15.2`. */
  readonly version: string;
}

/** A place that may have a nats-server. `find` resolves with its path, and rejects with the reason why there is none. */
interface Place {
  readonly name: string;
  readonly find: (options: NatsBinaryOptions) => Promise<string>;
}

const places: readonly Place[] = [
  { name: "NATS_SERVER_BIN", find: namedBinary },
  { name: "PATH", find: binaryOnPath },
  { name: "cache", find: ({ env }) => existing(cachedBinaryPath(env)) },
  { name: "release archive", find: downloadedBinary },
  { name: "go install", find: builtBinary },
];

const buildTimeoutMs = 600_000;

/**
 * The nats-server to run: the first that works of NATS_SERVER_BIN, PATH, the user's cache, the pinned release (put
 * into the cache) and a build by `go install` (put into the cache). Rejects with NO_NATS_SERVER and says why each failed.
 */
export async function findNatsServer(options: NatsBinaryOptions): Promise<NatsBinary> {
  const failures: string[] = [];
  for (const place of places) {
    try {
      const path = await place.find(options);
      return { path, version: await requireNatsServer(path, options.env) };
    } catch (error) {
      options.signal?.throwIfAborted();
      const failure = `${place.name}: ${error instanceof Error ? error.message : String(error)}`;
      failures.push(failure);
      if (!(error instanceof NothingThere)) options.onProgress(`${failure}; trying the next`);
    }
  }
  const advice = `Install nats-server ${minimumVersion} or newer, or name one in NATS_SERVER_BIN.`;
  throw new BrokerStartError(
    "NO_NATS_SERVER",
    `found no nats-server (${failures.join("; ")}). ${advice}`,
  );
}

/** A place that is simply empty, which is no news to anybody while others are left. */
class NothingThere extends Error {}

async function namedBinary({ env }: NatsBinaryOptions): Promise<string> {
  const path = env["NATS_SERVER_BIN"] ?? "";
  if (path === "") throw new NothingThere("not set");
  return path;
}

async function binaryOnPath({ env }: NatsBinaryOptions): Promise<string> {
  const folders = (env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  for (const folder of folders) {
    const path = join(folder, programName);
    if (await isExecutable(path)) return path;
  }
  throw new NothingThere(`no ${programName} in it`);
}

async function downloadedBinary(options: NatsBinaryOptions): Promise<string> {
  const {
    env,
    onProgress,
    signal,
    releaseBaseUrl = releaseUrl,
    connectTimeoutMs = 4_000,
  } = options;
  onProgress(`fetching nats-server ${pinnedVersion} from ${releaseBaseUrl}`);
  return intoCache(env, (directory) =>
    fetchRelease(directory, { baseUrl: releaseBaseUrl, connectTimeoutMs, env, signal }),
  );
}

async function builtBinary({ env, onProgress, signal }: NatsBinaryOptions): Promise<string> {
  onProgress(`building nats-server ${pinnedVersion} by go install, which takes about a minute`);
  return intoCache(env, async (directory) => {
    const source = `github.com/nats-io/nats-server/v2@v${pinnedVersion}`;
    await runCommand("go", ["install", "-trimpath", source], {
      env: { ...env, GOBIN: directory, CGO_ENABLED: "0" },
      timeoutMs: buildTimeoutMs,
      signal,
    });
    return join(directory, programName);
  });
}

async function intoCache(
  env: NodeJS.ProcessEnv,
  make: (directory: string) => Promise<string>,
): Promise<string> {
  const path = cachedBinaryPath(env);
  await installProgram(path, async (directory) => {
    const made = await make(directory);
    await requireNatsServer(made, env);
    return made;
  });
  return path;
}

async function existing(path: string): Promise<string> {
  if (await isExecutable(path)) return path;
  throw new NothingThere(`nothing at ${path}`);
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    // Not there and not ours to run are the same here.
    return false;
  }
}
