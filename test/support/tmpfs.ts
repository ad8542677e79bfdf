import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { open, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A small disk of its own, in memory. */
export interface Tmpfs extends AsyncDisposable {
  readonly path: string;
  /** Takes all space but `leaveBytes`, until {@link free}. */
  fill(leaveBytes?: number): Promise<void>;
  free(): Promise<void>;
  /** What else may be written. */
  freeBytes(): Promise<number>;
  /** Gives it another size. */
  resize(sizeBytes: number): void;
  /** From now on nothing can be written, or it can again. Fails while a file of it is open for writing. */
  remount(mode: "ro" | "rw"): void;
}

const chunkBytes = 65_536;

/** `path`: an empty directory, gone with the disk. Default: a new one. Needs the right to mount (root). Where that is missing it says so and fails: a fault that is not made proves nothing. */
export function mountTmpfs(
  sizeBytes: number,
  path: string = mkdtempSync(join(tmpdir(), "mpc-router-disk-")),
): Tmpfs {
  const ballast = join(path, "ballast");
  try {
    run("mount", ["-t", "tmpfs", "-o", `size=${sizeBytes}`, "mpc-router-test", path]);
  } catch (error) {
    rmSync(path, { recursive: true });
    throw new Error("this test mounts a small disk, which needs root", { cause: error });
  }
  // A test that throws its process away must not leave the disk on the machine; lazily, since servers may still end.
  const unmount = (): void => run("umount", ["--lazy", path]);
  process.once("exit", unmount);
  const freeBytes = async (): Promise<number> => {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  };
  return {
    path,
    freeBytes,
    async fill(leaveBytes = 0) {
      await using file = await open(ballast, "a");
      for (;;) {
        const leftBytes = (await freeBytes()) - leaveBytes;
        if (leftBytes <= 0) return;
        const written = await file
          .write(Buffer.alloc(Math.min(chunkBytes, leftBytes)))
          .catch((error: NodeJS.ErrnoException) => error);
        // Somebody else took the last of it.
        if (written instanceof Error && written.code !== "ENOSPC") throw written;
      }
    },
    free: () => rm(ballast, { force: true }),
    resize: (bytes) => run("mount", ["-o", `remount,size=${bytes}`, path]),
    remount: (mode) => run("mount", ["-o", `remount,${mode}`, path]),
    async [Symbol.asyncDispose]() {
      process.off("exit", unmount);
      unmount();
      await rm(path, { recursive: true, force: true });
    },
  };
}

function run(program: string, args: readonly string[]): void {
  execFileSync(program, args, { stdio: ["ignore", "ignore", "pipe"] });
}
