import { setTimeout as pause } from "node:timers/promises";
import type { Logger } from "../telemetry/logger.ts";
import { readTlsFiles, type TlsFiles, TlsFilesError } from "./tls-files.ts";
import type { TlsMaterial } from "./tls-port.ts";

export interface TlsWatchOptions {
  /** What is in use already. */
  readonly current: TlsMaterial;
  /** Told what the files hold whenever that has changed and can be used. */
  readonly onChange: (material: TlsMaterial) => void;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Between two looks, in milliseconds. */
  readonly intervalMs?: number;
}

const defaultIntervalMs = 10_000;

/**
 * Looks at the files again and again, by what is in them: so that links that are turned elsewhere, as Kubernetes does, and
 * file systems that report no change are no matter. What cannot be used is logged, and what was in use stays; so does
 * half of a new pair, until the other half is there.
 */
export function watchTlsFiles(files: TlsFiles, options: TlsWatchOptions): void {
  const { logger, signal, intervalMs = defaultIntervalMs } = options;
  let { current } = options;
  let reported = "";

  const look = async (): Promise<void> => {
    try {
      const found = await readTlsFiles(files);
      reported = "";
      if (signal.aborted || isSame(found, current)) return;
      current = found;
      options.onChange(found);
      logger.info({ path: files.cert }, "certificates replaced");
    } catch (error) {
      if (!(error instanceof TlsFilesError)) throw error;
      // Said once, not at every look.
      if (error.message !== reported) logger.warn({ err: error }, "certificates not replaced");
      reported = error.message;
    }
  };

  const watch = async (): Promise<void> => {
    while (!signal.aborted) {
      await pause(intervalMs, undefined, { signal, ref: false });
      await look();
    }
  };
  watch().catch((error: unknown) => {
    if (!signal.aborted) logger.error({ err: error }, "certificates are no longer watched");
  });
}

function isSame(one: TlsMaterial, other: TlsMaterial): boolean {
  return one.cert === other.cert && one.key === other.key && one.clientCa === other.clientCa;
}
