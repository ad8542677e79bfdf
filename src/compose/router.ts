import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createContextValues } from "@connectrpc/connect";
import { addressText, type Address } from "../config/kinds.ts";
import { originPattern } from "../config/origins.ts";
import { isLoopback } from "../config/loopback.ts";
import type { Settings } from "../config/settings-table.ts";
import type { Clock, Randomness } from "../domain/clock.ts";
import type { Nats } from "../nats/connection.ts";
import { watchReadiness } from "../nats/readiness.ts";
import { connectionKey } from "../rpc/connection.ts";
import { createErrorInterceptor, createLivenessInterceptor } from "../rpc/interceptors.ts";
import { withFixedParseErrors } from "../rpc/parse-errors.ts";
import { portRefusal } from "../rpc/port-refusals.ts";
import { createHttpApp } from "../server/http-app.ts";
import type { Logger } from "../telemetry/logger.ts";
import { openAdmission } from "./admission.ts";
import {
  openAuthentication,
  type Authentication,
  type AuthenticationSummary,
} from "./authentication.ts";
import { openBroker } from "./broker.ts";
import { withStoreState } from "./readiness.ts";
import { createRules } from "./rules.ts";
import { routesOf } from "./services.ts";
import { StartError } from "./start-error.ts";
import { openStores } from "./stores.ts";
import { openTls } from "./tls.ts";

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
  readonly scheme: "http" | "https";
  /** Where messages are kept, in a few words. */
  readonly store: string;
  /** How callers show who they are; undefined where they are believed. */
  readonly authentication: AuthenticationSummary | undefined;
  /** Whether browsers are given the demo. */
  readonly isForBrowsers: boolean;
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
  const authentication = resources.use(await openAuthentication({ settings, logger, clock }));
  const tls = await openTls(settings, logger);
  const broker = resources.use(await openBroker({ ...options, clock, instanceId }));
  const { nats } = broker;
  const common = { nats, settings, clock, logger, instanceId, randomness };
  const maxPayloadBytes = payloadLimit(settings, nats);
  const stores = resources.use(await openStores({ ...common, sealKeys: options.sealKeys }));
  const rules = resources.use(
    createRules({ ...common, stores, room: broker.room, maxPayloadBytes }),
  );
  const readiness = withStoreState(resources.use(watchReadiness(nats, common)), broker.storeState);
  const isForBrowsers = mayServeSite(settings, authentication);
  // Once the calls in flight have ended; a store that does not answer must not hold up the rest.
  resources.defer(() => nats.beginClosing());
  const app = resources.use(
    createHttpApp({
      routes: withFixedParseErrors(
        routesOf(rules, readiness),
        [
          createErrorInterceptor(logger),
          createLivenessInterceptor((partyId) => rules.partyStreams.noteCall(partyId)),
        ],
        openAdmission(authentication, common, resources),
      ),
      contextValues: (connection) => createContextValues().set(connectionKey, connection),
      refusal: portRefusal,
      ...(tls === undefined ? {} : { tls: tls.material }),
      ...(isForThisMachine(settings, authentication) ? { homeHosts: [settings.listen.host] } : {}),
      allowedOrigins: settings.allowedOrigins.map(originPattern),
      callRate: {
        perSecond: settings.connectionCallsPerSecond,
        burst: settings.connectionCallsPerSecond,
      },
      maxPayloadBytes,
      timeouts: { pingIntervalMs: Math.min(20_000, settings.presenceTimeoutMs / 3) },
      ...(isForBrowsers && existsSync(siteDirectory) ? { staticDirectory: siteDirectory } : {}),
      hasSuccessor: () => stores.instance.hasOthers(),
      readiness: () =>
        readiness.isReady() ? { ready: true } : { ready: false, reason: readiness.reason() },
      logger,
    }),
  );
  resources.use(tls?.follow((material) => app.replaceTls(material)));
  options.signal.throwIfAborted();
  const address = await listen(app, settings.listen);
  const held = resources.move();
  return {
    address,
    scheme: tls === undefined ? "http" : "https",
    store: broker.store,
    authentication: authentication?.summary,
    isForBrowsers,
    warnings: [
      ...broker.warnings,
      ...payloadWarnings(settings, nats, maxPayloadBytes),
      ...stores.warnings,
      ...(authentication === undefined
        ? ["no authentication: every caller is believed (development only)"]
        : []),
    ],
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** Who is believed must be on this machine, and not a page from elsewhere in its browser. */
function isForThisMachine(settings: Settings, authentication: Authentication | undefined): boolean {
  return authentication === undefined && !settings.insecureAllowUnauthenticated;
}

/** The page plays every party and the coordinator, which is for those who may do so anyhow. */
function mayServeSite(settings: Settings, authentication: Authentication | undefined): boolean {
  return settings.demo || (authentication === undefined && isLoopback(settings.listen.host));
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
