import { SettingsError } from "../config/settings-error.ts";
import { settingsTable, type Settings } from "../config/settings-table.ts";
import { readTlsFiles, TlsFilesError } from "../server/tls-files.ts";
import type { TlsMaterial } from "../server/tls-port.ts";
import { watchTlsFiles } from "../server/tls-watch.ts";
import type { Logger } from "../telemetry/logger.ts";

export interface RouterTls {
  readonly material: TlsMaterial;
  /** Hands on what the files hold whenever that has changed, until it is disposed. */
  follow(replace: (material: TlsMaterial) => void): Disposable;
}

const names = ["tlsCert", "tlsKey", "tlsClientCa"] as const;
type TlsSettings = Pick<Settings, (typeof names)[number]>;

/** What the port shows its clients; undefined where it speaks cleartext. */
export async function openTls(
  settings: TlsSettings,
  logger: Logger,
): Promise<RouterTls | undefined> {
  const { tlsCert, tlsKey, tlsClientCa } = settings;
  if (tlsCert === undefined || tlsKey === undefined) return undefined;
  const files = { cert: tlsCert, key: tlsKey, clientCa: tlsClientCa };
  const material = await readTlsFiles(files).catch((error: unknown) => {
    throw error instanceof TlsFilesError ? settingsErrorOf(error, settings) : error;
  });
  return {
    material,
    follow(replace) {
      const stop = new AbortController();
      watchTlsFiles(files, { current: material, onChange: replace, logger, signal: stop.signal });
      return { [Symbol.dispose]: () => stop.abort() };
    },
  };
}

function settingsErrorOf(error: TlsFilesError, settings: TlsSettings): SettingsError {
  const name = names.find((candidate) => settings[candidate] === error.path) ?? "tlsCert";
  return new SettingsError([`${settingsTable[name].flag}: ${error.message}`]);
}
