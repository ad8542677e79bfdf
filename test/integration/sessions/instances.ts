import { randomBytes } from "node:crypto";
import type { EventStore } from "../../../src/domain/events/event-ports.ts";
import type { PartyStore, Presence } from "../../../src/domain/parties/party.ts";
import { createKeyring, type Keyring } from "../../../src/domain/secrets/keyring.ts";
import { createCoordinator, type Coordinator } from "../../../src/domain/sessions/coordinator.ts";
import type { CoordinatorOptions } from "../../../src/domain/sessions/coordinator-options.ts";
import type { SessionStore } from "../../../src/domain/sessions/session-ports.ts";
import type { ResealableSecrets } from "../../../src/domain/secrets/secret-ports.ts";
import type { PartyRole } from "../../../src/domain/sessions/session.ts";
import { connectNats, type Nats } from "../../../src/nats/connection.ts";
import { forgetMail, hasMail } from "../../../src/nats/mail/forget.ts";
import { openEventStore } from "../../../src/nats/events/event-store.ts";
import { openJoinMissCounter } from "../../../src/nats/sessions/join-miss-counter.ts";
import { openPartyStore } from "../../../src/nats/parties/party-store.ts";
import { openPresence } from "../../../src/nats/parties/presence.ts";
import { provision } from "../../../src/nats/provisioning.ts";
import { openSecretStore } from "../../../src/nats/secrets/secret-store.ts";
import { openSessionStore } from "../../../src/nats/sessions/session-store.ts";
import { silentLogger } from "../../../src/telemetry/logger.ts";
import { startNatsServer, type NatsTestServer } from "../../support/nats-server.ts";

/** A coordinator with its stores, as one router has them. */
export interface Instance extends AsyncDisposable {
  readonly nats: Nats;
  readonly coordinator: Coordinator;
  readonly sessions: SessionStore;
  readonly secrets: ResealableSecrets;
  readonly events: EventStore;
  readonly parties: PartyStore;
  readonly presence: Presence;
  /** Ids of the sessions that the other rooms were told to forget. */
  readonly forgotten: readonly string[];
  /**
   * A coordinator that dies after so many writes, before the next one: from then on every call fails and nothing is
   * written. It keeps no house.
   */
  mortal(writes: number): Coordinator;
  /** Begins what has to run beside the calls. */
  keepHouse(): void;
}

/** Two of them on one nats-server, with one clock that a test can put forward. */
export interface Pair extends AsyncDisposable {
  readonly server: NatsTestServer;
  readonly keyring: Keyring;
  readonly a: Instance;
  readonly b: Instance;
  readonly clock: { nowMs(): number; advance(ms: number): void };
  register(partyId: string, role?: PartyRole, offlineMode?: boolean): Promise<void>;
}

export const presenceTimeoutMs = 60_000;

/** `settings`: those of both. */
export async function openPair(
  settings: Pick<InstanceOptions, "maxSessionsPerCoordinator"> = {},
): Promise<Pair> {
  await using resources = new AsyncDisposableStack();
  const server = resources.use(await startNatsServer());
  const keyring = createKeyring([randomBytes(32)]);
  let aheadMs = 0;
  const clock = {
    nowMs: () => Date.now() + aheadMs,
    advance: (ms: number) => void (aheadMs += ms),
  };
  const options = { ...settings, url: server.url, keyring, clock };
  const a = resources.use(await openInstance(options));
  const b = resources.use(await openInstance(options));
  const held = resources.move();
  return {
    server,
    keyring,
    a,
    b,
    clock,
    async register(partyId, role = "persistent", offlineMode = false) {
      const now = clock.nowMs();
      await a.parties.upsert(partyId, () => ({
        partyId,
        role,
        version: "1",
        offlineMode,
        registeredAt: now,
        renewedAt: now,
      }));
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

interface InstanceOptions {
  readonly url: string;
  readonly keyring: Keyring;
  readonly clock: { nowMs(): number };
  readonly maxSessionsPerCoordinator?: number;
}

export async function openInstance(options: InstanceOptions): Promise<Instance> {
  const { url, keyring, clock } = options;
  const logger = silentLogger;
  await using resources = new AsyncDisposableStack();
  const nats = resources.use(
    await connectNats({
      url,
      name: "test",
      connectTimeoutMs: 5_000,
      logger,
      clock,
    }),
  );
  await provision(nats);
  const sessions = resources.use(await openSessionStore(nats, { logger }));
  const events = resources.use(await openEventStore(nats, { logger }));
  const presence = resources.use(openPresence(nats, { presenceTimeoutMs, logger }));
  const secrets = openSecretStore(nats);
  const parties = resources.use(openPartyStore(nats, { logger }));
  const forgotten: string[] = [];
  const parts: CoordinatorOptions = {
    sessions,
    secrets,
    joinMisses: openJoinMissCounter(nats),
    keyring,
    events,
    parties,
    presence,
    hasMail: (sessionId) => hasMail(nats, sessionId),
    forgetSession: async (sessionId) => {
      forgotten.push(sessionId);
      await forgetMail(nats, sessionId);
      await events.removeSession(sessionId);
    },
    clock,
    randomness: { id: () => randomBytes(16).toString("hex") },
    log: logger,
    defaultTtlMs: 600_000,
    presenceTimeoutMs,
    maxSessionsPerCoordinator: options.maxSessionsPerCoordinator ?? 100_000,
  };
  const coordinator = resources.use(createCoordinator(parts));
  const stopping = new AbortController();
  let keeping: Promise<void> = Promise.resolve();
  resources.defer(async () => {
    stopping.abort();
    await keeping;
  });
  const held = resources.move();
  return {
    nats,
    coordinator,
    sessions,
    secrets,
    events,
    parties,
    presence,
    forgotten,
    mortal: (writes) => createCoordinator(withMortality(parts, writes)),
    keepHouse: () => void (keeping = coordinator.housekeeping.run(stopping.signal)),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

function withMortality(parts: CoordinatorOptions, writes: number): CoordinatorOptions {
  let left = writes;
  const writing = async <Result>(write: () => Promise<Result>): Promise<Result> => {
    if (left === 0) throw new Error("this instance is dead");
    left -= 1;
    return write();
  };
  const { sessions, events } = parts;
  return {
    ...parts,
    sessions: {
      ...sessions,
      create: (record) => writing(() => sessions.create(record)),
      replace: (stored, record) => writing(() => sessions.replace(stored, record)),
      keep: (record) => writing(() => sessions.keep(record)),
    },
    events: { append: (event, hash) => writing(() => events.append(event, hash)) },
  };
}

export async function eventTypesOf(
  instance: Instance,
  sessionId: string,
): Promise<readonly string[]> {
  const upTo = await instance.events.lastSequence();
  const types: string[] = [];
  for await (const { event } of instance.events.read({ after: 0, upTo, sessionId })) {
    types.push(event.eventType);
  }
  return types;
}
