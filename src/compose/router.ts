import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createContextValues } from "@connectrpc/connect";
import { addressText, type Address } from "../config/kinds.ts";
import { originPattern } from "../config/origins.ts";
import type { Settings } from "../config/settings-table.ts";
import type { Clock, Randomness } from "../domain/clock.ts";
import type { Nats } from "../nats/connection.ts";
import { watchReadiness } from "../nats/readiness.ts";
import { connectionKey } from "../rpc/connection.ts";
import { createErrorInterceptor, createLivenessInterceptor } from "../rpc/interceptors.ts";
import { unknownMethod, withFixedParseErrors } from "../rpc/parse-errors.ts";
import { createHttpApp } from "../server/http-app.ts";
import type { Logger } from "../telemetry/logger.ts";
import { openBroker } from "./broker.ts";
import { createRules } from "./rules.ts";
import { routesOf } from "./services.ts";
import { StartError } from "./start-error.ts";
import { openStores } from "./stores.ts";

export interface RouterOptions {
  readonly settings: Settings;
  /** What secrets are sealed with: 32 bytes each, the first is current; none for a key in the store. */
  readonly sealKeys: readonly Uint8Array[];
  /** Where the nats-server is looked for. */
  readonly env: NodeJS.ProcessEnv;
  readonly logger: Logger;
  /** Told, in one line each, what takes time. */
  readonly onProgress: (line: string) => void;
  /** Aborted: the start is given up. A router that runs is ended by disposing it. */
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

/** One instance that serves. Disposing it drains: streams end, calls in flight finish, then what it runs on is let go. */
export interface RunningRouter extends AsyncDisposable {
  /** Where it serves. */
  readonly address: Address;
  /** Where messages are kept, in a few words. */
  readonly store: string;
  /** What the operator should know, one line each. */
  readonly warnings: readonly string[];
}

const systemClock: Clock = { nowMs: () => Date.now() };
const randomness: Randomness = { id: () => randomBytes(16).toString("hex") };
/** The web demo, once it is built. */
const siteDirectory: string = join(import.meta.dirname, "../../web-demo/dist/site");
/** A message in the store is larger than its payload by its headers, in bytes. */
const headerBytes = 65_536;
/** The least that `--max-payload` may be. */
const leastPayloadBytes = 1_024;

/** Starts one instance, from the store up to the port; resolves when it serves. */
export async function startRouter(options: RouterOptions): Promise<RunningRouter> {
  const { settings, logger, clock = systemClock } = options;
  const instanceId = randomness.id().slice(0, 16);
  await using resources = new AsyncDisposableStack();
  const broker = resources.use(await openBroker({ ...options, clock, instanceId }));
  const { nats } = broker;
  const common = { nats, settings, clock, logger, instanceId, randomness };
  const maxPayloadBytes = payloadLimit(settings, nats);
  const stores = resources.use(await openStores({ ...common, sealKeys: options.sealKeys }));
  const rules = resources.use(createRules({ ...common, stores, maxPayloadBytes }));
  const readiness = resources.use(watchReadiness(nats, common));
  const app = resources.use(
    createHttpApp({
      routes: withFixedParseErrors(routesOf(rules, readiness), [
        createErrorInterceptor(logger),
        createLivenessInterceptor((partyId) => rules.partyStreams.noteCall(partyId)),
      ]),
      contextValues: (connection) => createContextValues().set(connectionKey, connection),
      unknownMethod,
      allowedOrigins: settings.allowedOrigins.map(originPattern),
      maxPayloadBytes,
      timeouts: { pingIntervalMs: Math.min(20_000, settings.presenceTimeoutMs / 3) },
      ...(existsSync(siteDirectory) ? { staticDirectory: siteDirectory } : {}),
      readiness: () =>
        readiness.isReady() ? { ready: true } : { ready: false, reason: readiness.reason() },
      logger,
    }),
  );
  options.signal.throwIfAborted();
  const address = await listen(app, settings.listen);
  const held = resources.move();
  return {
    address,
    store: broker.store,
    warnings: [
      ...broker.warnings,
      ...payloadWarnings(settings, nats, maxPayloadBytes),
      ...stores.warnings,
      "no authentication: every caller is believed (development only)",
    ],
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** What is asked for, as far as NATS takes it. */
function payloadLimit(settings: Settings, nats: Nats): number {
  const taken = nats.maxPayloadBytes - headerBytes;
  if (taken >= leastPayloadBytes) return Math.min(settings.maxPayloadBytes, taken);
  throw new StartError(
    `NATS takes messages of ${nats.maxPayloadBytes} bytes; it must be at least ${headerBytes + leastPayloadBytes} (max_payload)`,
  );
}

async function listen(
  app: { listen(address: Address): Promise<Address> },
  address: Address,
): Promise<Address> {
  try {
    return await app.listen(address);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === "EADDRINUSE" ? "the port is taken" : String(code ?? error);
    throw new StartError(`cannot listen on ${addressText(address)}: ${why}`, { cause: error });
  }
}

function payloadWarnings(settings: Settings, nats: Nats, maxPayloadBytes: number): string[] {
  return maxPayloadBytes < settings.maxPayloadBytes
    ? [
        `payloads are limited to ${maxPayloadBytes} bytes: NATS takes ${nats.maxPayloadBytes} in all`,
      ]
    : [];
}
