import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { BrokerStartError } from "./broker-errors.ts";

/** SQLITE_BUSY: somebody else holds the lock. */
const busyCode = 5;

/**
 * Takes the directory for this process, until disposed or until the process is gone, however it ended; refuses with
 * DATA_DIR_IN_USE while another one has it.
 *
 * The lock is the one of an SQLite file, held and never written to: that is how Node reaches the file locks of the
 * operating system. They are released with their process, so no lock is ever stale, no reused process id is mistaken
 * for its owner, and containers that share a volume see each other's.
 */
export function lockDataDir(dataDir: string): Disposable {
  const pidFile = join(dataDir, "router.pid");
  const lock = openLock(join(dataDir, "router.lock"), pidFile);
  return {
    [Symbol.dispose]() {
      if (lock.isOpen) lock.close();
    },
  };
}

function openLock(path: string, pidFile: string): DatabaseSync {
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(path);
    lock.exec("BEGIN EXCLUSIVE");
    // For people, and for the message to who is refused.
    writeFileSync(pidFile, `${process.pid}\n`);
    return lock;
  } catch (error) {
    lock?.close();
    const isBusy = error instanceof Error && "errcode" in error && error.errcode === busyCode;
    if (!isBusy) throw unusable(path, error);
    throw new BrokerStartError(
      "DATA_DIR_IN_USE",
      `the data directory is in use by another router (process ${ownerOf(pidFile)}, lock ${path})`,
      error,
    );
  }
}

function unusable(path: string, cause: unknown): BrokerStartError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new BrokerStartError("DATA_DIR_UNUSABLE", `cannot lock ${path}: ${why}`, cause);
}

function ownerOf(pidFile: string): string {
  try {
    return readFileSync(pidFile, "utf8").trim();
  } catch {
    // The other one has only just taken the lock; its id is a courtesy.
    return "unknown";
  }
}
