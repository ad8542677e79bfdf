import { setTimeout as pause } from "node:timers/promises";
import { startManagedNats, type ManagedNats } from "../broker/managed-nats.ts";
import { findNatsServer } from "../broker/nats-binary.ts";
import type { Settings } from "../config/settings-table.ts";
import type { Clock } from "../domain/clock.ts";
import { connectNats, type Nats, type NatsOptions } from "../nats/connection.ts";
import { provision } from "../nats/provisioning.ts";
import { accountFill, watchStoreRoom, type StoreRoom } from "../nats/store-room.ts";
import type { Logger } from "../telemetry/logger.ts";
import { StartError } from "./start-error.ts";

export interface BrokerOptions {
  readonly settings: Settings;
  readonly env: NodeJS.ProcessEnv;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly instanceId: string;
  readonly onProgress: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface Broker extends AsyncDisposable {
  readonly nats: Nats;
  /** Where messages are kept, in a few words for the operator. */
  readonly store: string;
  /** What the router's own nats-server says of its store. A NATS of somebody else is looked after by others. */
  readonly storeState: StoreState | undefined;
  /** Whether it takes more mail. */
  readonly room: StoreRoom;
  /** What the operator should know of it, one line each. */
  readonly warnings: readonly string[];
}

export type StoreState = ManagedNats["storeState"];

type Target = Pick<NatsOptions, "url" | "user" | "pass" | "requiresTls">;

const connectTimeoutMs = 5_000;
/** How long a nats-server of our own may be away that dies while the router starts, in milliseconds. */
const ownPatienceMs = 15_000;
const ownPauseMs = 200;

/** Connects to the NATS that is named, or runs one; resolves when every stream and bucket is there. */
export async function openBroker(options: BrokerOptions): Promise<Broker> {
  const external = options.settings.nats;
  await using resources = new AsyncDisposableStack();
  const own = external === undefined ? resources.use(await runNats(options)) : undefined;
  const connecting =
    own === undefined ? connect(options, external as Target) : connectOwn(options, own);
  const nats = resources.use(await connecting);
  await provisionFirst(nats, external?.url ?? own?.url);
  // A bucket in memory is gone when a single server starts again. What fails here shows in the readiness.
  nats.onReconnect(() => {
    provision(nats).catch((error: unknown) => options.logger.warn({ err: error }, "provisioning"));
  });
  const fill = own?.storeFill ?? (() => accountFill(nats));
  const room = resources.use(watchStoreRoom({ fill, logger: options.logger }));
  const held = resources.move();
  return {
    nats,
    room,
    store: own?.store ?? `NATS at ${external?.url}`,
    storeState: own?.storeState,
    warnings: external === undefined ? [] : externalWarnings(nats),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

interface OwnNats
  extends
    Target,
    AsyncDisposable,
    Pick<Broker, "store">,
    Pick<ManagedNats, "storeState" | "storeFill"> {}

async function runNats({
  settings,
  env,
  logger,
  onProgress,
  signal,
}: BrokerOptions): Promise<OwnNats> {
  const { dataDir } = settings;
  const { path, version } = await findNatsServer({ env, onProgress, signal });
  const managed = await startManagedNats({ dataDir, binaryPath: path, logger, signal });
  return {
    url: managed.url,
    user: managed.user,
    pass: managed.pass,
    storeState: managed.storeState,
    storeFill: (asking) => managed.storeFill(asking),
    store: `nats-server ${version}, synced writes, data in ${dataDir}`,
    [Symbol.asyncDispose]: () => managed[Symbol.asyncDispose](),
  };
}

/** Our own server is started again when it dies, so it is waited for. */
async function connectOwn(options: BrokerOptions, own: OwnNats): Promise<Nats> {
  const { logger, signal } = options;
  const giveUpAt = performance.now() + ownPatienceMs;
  for (;;) {
    try {
      return await connect(options, own);
    } catch (error) {
      if (performance.now() > giveUpAt) throw error;
      logger.warn({ err: error }, "connecting to nats-server again");
      await pause(ownPauseMs, undefined, { signal });
    }
  }
}

async function connect(options: BrokerOptions, target: Target): Promise<Nats> {
  try {
    return await connectNats({
      ...target,
      name: `mpc-router ${options.instanceId}`,
      connectTimeoutMs,
      logger: options.logger,
      clock: options.clock,
    });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new StartError(`cannot connect to NATS at ${target.url}: ${why}`, { cause: error });
  }
}

/** A store that cannot be laid out, such as a cluster of two, is the operator's to mend. */
async function provisionFirst(nats: Nats, url: string | undefined): Promise<void> {
  try {
    await provision(nats);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const what = `NATS at ${url} cannot keep what the router stores`;
    throw new StartError(`${what}: ${why}`, { cause: error });
  }
}

function externalWarnings(nats: Nats): readonly string[] {
  return nats.isClustered
    ? []
    : [
        "this NATS is one server: its disk is the only copy (use a cluster of three in production)",
        "run it with `sync_interval: always`, or a power failure may lose acknowledged writes",
      ];
}
