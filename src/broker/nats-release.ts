import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { platformName, programName } from "./binary-cache.ts";
import { runCommand } from "./command.ts";
import { pinnedVersion } from "./nats-version.ts";

/** The directory of the pinned release, with its archives and their SHA256SUMS. */
export const releaseUrl: string = `https://github.com/nats-io/nats-server/releases/download/v${pinnedVersion}`;

export interface ReleaseOptions {
  readonly baseUrl: string;
  /** How long the host may take to answer, in milliseconds. */
  readonly connectTimeoutMs: number;
  readonly env: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal | undefined;
}

const platforms = /^(linux|darwin|windows)-(amd64|arm64)$/;
const transferTimeoutMs = 300_000;
const unpackTimeoutMs = 60_000;
/** Some five times the size of a release archive. */
const archiveLimitBytes = 64 * 1_048_576;
const sumsLimitBytes = 1_048_576;

/** Fetches the archive for this platform, checks its sum, unpacks it; resolves with the path of the program. */
export async function fetchRelease(directory: string, options: ReleaseOptions): Promise<string> {
  const platform = platformName();
  if (!platforms.test(platform)) throw new Error(`there is no release for ${platform}`);
  const folder = `nats-server-v${pinnedVersion}-${platform}`;
  const archive = `${folder}.${platform.startsWith("windows") ? "zip" : "tar.gz"}`;
  // The sums come first: they are small, and a host out of reach is noticed before anything is transferred.
  const sums = await download("SHA256SUMS", sumsLimitBytes, options);
  const expected = sumOf(sums.toString("utf8"), archive);
  const bytes = await download(archive, archiveLimitBytes, options);
  const actual = createHash("sha256").update(bytes).digest("hex");
  if (actual !== expected) {
    throw new Error(`the checksum of ${archive} is ${actual}, SHA256SUMS has ${expected}`);
  }
  await writeFile(join(directory, archive), bytes);
  // The tar of Windows reads zip archives, too.
  await runCommand("tar", ["-xf", join(directory, archive), "-C", directory], {
    env: options.env,
    timeoutMs: unpackTimeoutMs,
    signal: options.signal,
  });
  return join(directory, folder, programName);
}

function sumOf(sums: string, file: string): string {
  for (const line of sums.split("\n")) {
    const [sum, name] = line.trim().split(/\s+\*?/);
    if (name === file && sum !== undefined && /^[0-9a-f]{64}$/.test(sum)) return sum;
  }
  throw new Error(`SHA256SUMS does not list ${file}`);
}

async function download(
  file: string,
  limitBytes: number,
  options: ReleaseOptions,
): Promise<Buffer> {
  const url = `${options.baseUrl}/${file}`;
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), options.connectTimeoutMs);
  const signals = [silence.signal, AbortSignal.timeout(transferTimeoutMs)];
  if (options.signal !== undefined) signals.push(options.signal);
  try {
    const response = await fetch(url, { signal: AbortSignal.any(signals) });
    clearTimeout(timer);
    if (!response.ok) throw new Error(`the host answers ${response.status}`);
    return await readBody(response, limitBytes);
  } catch (error) {
    const why = silence.signal.aborted
      ? `no answer within ${options.connectTimeoutMs} ms`
      : describe(error);
    throw new Error(`${url}: ${why}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

async function readBody(response: Response, limitBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of response.body ?? []) {
    total += chunk.length;
    if (total > limitBytes) throw new Error(`more than ${limitBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** `fetch` puts what happened into the cause of an error that only says it failed. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause;
  if (!(cause instanceof Error)) return error.message;
  return "code" in cause && typeof cause.code === "string" ? cause.code : cause.message;
}
