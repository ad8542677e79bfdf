import { writeFile } from "node:fs/promises";

/** 8 MiB of payload, the most a router may be set to, and its headers. */
const maxPayloadBytes = 9 * 1_048_576;

/** Memory is for presence, which is small; messages are in files. */
const maxMemoryStoreBytes = 1_073_741_824;

const logFileBytes = 10 * 1_048_576;
const logFileCount = 3;

export interface NatsConfig {
  /** -1: the server picks a free one. */
  readonly port: number;
  readonly storeDir: string;
  /** Where the server writes the ports it listens on. */
  readonly portsDir: string;
  readonly logFile: string;
  /**
   * Under it, on a free port of loopback, the server answers how it is. Unguessable, since it tells whoever asks which
   * sessions there are, too. Default: it answers nobody.
   */
  readonly monitorPath?: string;
  /** Without it everybody on this machine may connect. */
  readonly credentials?: { readonly user: string; readonly pass: string };
}

/**
 * Writes the configuration of a nats-server for this machine alone: loopback, JetStream with every write synced before
 * it is acknowledged. The file store has no limit here, so the server takes one from the free space of the disk.
 */
export async function writeNatsConfig(path: string, config: NatsConfig): Promise<void> {
  const { credentials, monitorPath } = config;
  const lines = [
    `listen: "127.0.0.1:${config.port}"`,
    `max_payload: ${maxPayloadBytes}`,
    `ports_file_dir: ${quoted(config.portsDir)}`,
    `log_file: ${quoted(config.logFile)}`,
    `log_size_limit: ${logFileBytes}`,
    `logfile_max_num: ${logFileCount}`,
    "jetstream {",
    `  store_dir: ${quoted(config.storeDir)}`,
    "  sync_interval: always",
    `  max_memory_store: ${maxMemoryStoreBytes}`,
    "}",
  ];
  if (monitorPath !== undefined) {
    lines.push('http: "127.0.0.1:-1"', `http_base_path: ${quoted(monitorPath)}`);
  }
  if (credentials !== undefined) {
    lines.push(
      `authorization { user: ${quoted(credentials.user)}, password: ${quoted(credentials.pass)} }`,
    );
  }
  await writeFile(path, `${lines.join("\n")}\n`, { mode: 0o600 });
}

/** The strings of this format have the escapes of JSON. */
function quoted(text: string): string {
  return JSON.stringify(text);
}
