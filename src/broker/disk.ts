import { mkdir, open, rm, statfs } from "node:fs/promises";
import { join } from "node:path";

/** Room for the largest message and for what a server writes when it starts, in bytes. */
const enoughBytes = 16 * 1_048_576;

/**
 * Why a nats-server that is started on the directory, made where it does not exist, could not write, in a few words; empty: it can. On a full disk one
 * does start, with a limit of nothing and without a word of its port (2.15).
 */
export async function diskProblem(directory: string): Promise<string> {
  const path = join(directory, "disk-probe");
  try {
    await mkdir(directory, { mode: 0o700 }).catch(ignoreExisting);
    const { bavail, bsize } = await statfs(directory);
    const freeBytes = bavail * bsize;
    if (freeBytes < enoughBytes) return `${freeBytes} bytes are free, ${enoughBytes} are needed`;
    await using file = await open(path, "w", 0o600);
    await file.write(Buffer.alloc(4_096));
    await file.sync();
    return "";
  } catch (error) {
    return `it cannot be written (${(error as NodeJS.ErrnoException).code})`;
  } finally {
    // What cannot be made cannot be removed either.
    await rm(path, { force: true }).catch(() => undefined);
  }
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") throw error;
}
