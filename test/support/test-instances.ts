import { randomUUID } from "node:crypto";
import type { Caller } from "../../src/domain/caller.ts";
import type { EventStore } from "../../src/domain/events/event-ports.ts";
import { createEventStreams, type EventStreams } from "../../src/domain/events/event-streams.ts";
import { createEventPublisher, type EventPublisher } from "../../src/domain/events/publishing.ts";
import type { PartyEvent } from "../../src/domain/events/session-event.ts";
import { createContactBook } from "../../src/domain/parties/contact-book.ts";
import type { PartyStore, Presence } from "../../src/domain/parties/party.ts";
import {
  createPartyRegistry,
  type PartyRegistry,
} from "../../src/domain/parties/party-registry.ts";
import { createPartyStreams, type PartyStreams } from "../../src/domain/parties/party-streams.ts";
import { createKeyring } from "../../src/domain/secrets/keyring.ts";
import { createVault } from "../../src/domain/secrets/vault.ts";
import { connectNats, type Nats } from "../../src/nats/connection.ts";
import { openEventAudience } from "../../src/nats/events/event-audience.ts";
import { openEventStore } from "../../src/nats/events/event-store.ts";
import { announceInstance } from "../../src/nats/instance.ts";
import { openPartyStore } from "../../src/nats/parties/party-store.ts";
import { openPresence } from "../../src/nats/parties/presence.ts";
import { provision } from "../../src/nats/provisioning.ts";
import { silentLogger } from "../../src/telemetry/logger.ts";
import { startNatsServer, type NatsTestServer } from "./nats-server.ts";
import { until } from "./until.ts";
import { createTestSessions, type TestSessions } from "./test-sessions.ts";

const clock = { nowMs: (): number => Date.now() };
export const open: Caller = { kind: "open" };

/** One router instance without its server: parties and events on a real NATS, sessions in memory. */
export interface TestInstance extends AsyncDisposable {
  readonly nats: Nats;
  readonly store: EventStore;
  readonly parties: PartyStore;
  readonly presence: Presence;
  readonly registry: PartyRegistry;
  readonly partyStreams: PartyStreams;
  readonly streams: EventStreams;
  readonly publisher: EventPublisher;
}

export interface TestInstanceOptions {
  readonly presenceTimeoutMs?: number;
}

export interface TestRouter extends AsyncDisposable {
  readonly server: NatsTestServer;
  readonly sessions: TestSessions;
  readonly a: TestInstance;
  readonly b: TestInstance;
  /** One more instance, which the test disposes. */
  openInstance(): Promise<TestInstance>;
  /** Ends the server without warning, starts it again, and waits until both instances are back. */
  crashServer(): Promise<void>;
}

/** Two instances on one NATS. */
export async function startRouter(options: TestInstanceOptions = {}): Promise<TestRouter> {
  const stack = new AsyncDisposableStack();
  const server = stack.use(await startNatsServer());
  const sessions = createTestSessions();
  const openInstance = (): Promise<TestInstance> => startInstance(server, sessions, options);
  const a = stack.use(await openInstance());
  const b = stack.use(await openInstance());
  return {
    server,
    sessions,
    a,
    b,
    openInstance,
    async crashServer() {
      await server.kill("SIGKILL");
      await until("connection lost", () => !a.nats.isConnected() && !b.nats.isConnected());
      await server.restart();
      await until("connected", () => a.nats.isConnected() && b.nats.isConnected());
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function startInstance(
  server: NatsTestServer,
  sessions: TestSessions,
  options: TestInstanceOptions,
): Promise<TestInstance> {
  const { presenceTimeoutMs = 60_000 } = options;
  const logger = silentLogger;
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(
    await connectNats({ url: server.url, name: "test", connectTimeoutMs: 5_000, logger, clock }),
  );
  await provision(nats);
  // As the router does: a memory bucket has to be made anew after a restart of its server.
  nats.onReconnect(() => void provision(nats).catch(() => undefined));
  const instance = stack.use(await announceInstance(nats, { id: randomUUID(), logger }));
  const store = stack.use(await openEventStore(nats, { logger }));
  const audience = stack.use(openEventAudience(nats, { instance, logger }));
  const presence = stack.use(openPresence(nats, { presenceTimeoutMs, logger }));
  const parties = stack.use(openPartyStore(nats, { logger }));
  const keyring = createKeyring([new Uint8Array(32).fill(7)]);
  const registry = createPartyRegistry({
    parties,
    presence,
    contacts: createContactBook(createVault(sessions.secrets, keyring)),
    sessions,
    pending: sessions,
    clock,
    presenceTimeoutMs,
  });
  const partyStreams = createPartyStreams({ presence, audience, clock, presenceTimeoutMs });
  const streams = stack.use(
    createEventStreams({
      store,
      directory: sessions,
      partySessions: sessions,
      partyStreams,
      isRegistered: (partyId) => registry.isRegistered(partyId),
      clock,
    }),
  );
  const directory = sessions.on(store);
  const randomness = { id: (): string => randomUUID().replaceAll("-", "") };
  const publisher = createEventPublisher({ store, audience, directory, clock, randomness });
  const owned = stack.move();
  return {
    nats,
    store,
    parties,
    presence,
    registry,
    partyStreams,
    streams,
    publisher,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** What a stream has given so far. */
export interface Listening extends AsyncDisposable {
  readonly events: readonly PartyEvent[];
  readonly ids: () => readonly string[];
}

export interface ListenOptions {
  readonly eventTypes?: readonly string[];
  readonly lastEventId?: string;
}

/** Opens a stream and reads it in the background. */
export async function listen(
  instance: TestInstance,
  partyId: string,
  options: ListenOptions = {},
): Promise<Listening> {
  const { eventTypes = [], lastEventId = "" } = options;
  const stream = await instance.streams.open(open, { partyId, eventTypes, lastEventId });
  const stopping = new AbortController();
  const events: PartyEvent[] = [];
  const reading = (async () => {
    for await (const event of stream.events(stopping.signal)) events.push(event);
  })();
  return {
    events,
    ids: () => events.map((event) => event.eventId),
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await reading;
      await stream[Symbol.asyncDispose]();
    },
  };
}

export async function register(instance: TestInstance, ...partyIds: string[]): Promise<void> {
  for (const partyId of partyIds) {
    const channel = { email: "", phone: "", pushToken: "" };
    await instance.registry.register(open, { partyId, role: "persistent", version: "1", channel });
  }
}
