import type { Settings } from "../config/settings-table.ts";
import type { Clock, Randomness } from "../domain/clock.ts";
import { createEventStreams, type EventStreams } from "../domain/events/event-streams.ts";
import { createEventPublisher, type EventPublisher } from "../domain/events/publishing.ts";
import { messageFailedEvent } from "../domain/events/session-event.ts";
import { createAcknowledging } from "../domain/messages/acknowledging.ts";
import { createCreationClock } from "../domain/messages/creation-clock.ts";
import { createStatusReading } from "../domain/messages/message-status.ts";
import { createReceiving } from "../domain/messages/receiving.ts";
import { createRouting } from "../domain/messages/routing.ts";
import { createContactBook } from "../domain/parties/contact-book.ts";
import { createPartyRegistry, type PartyRegistry } from "../domain/parties/party-registry.ts";
import { createPartySessions } from "../domain/parties/party-sessions.ts";
import { createPartyStreams, type PartyStreams } from "../domain/parties/party-streams.ts";
import { createVault } from "../domain/secrets/vault.ts";
import { createCoordinator, type Coordinator } from "../domain/sessions/coordinator.ts";
import { createSessionEndings } from "../domain/sessions/session-endings.ts";
import { seatOf, type SessionRecord } from "../domain/sessions/session.ts";
import { startAftercare } from "../nats/aftercare.ts";
import type { Nats } from "../nats/connection.ts";
import { forgetBeforeEnd } from "../nats/events/ended-events.ts";
import { forgetMail, hasMail } from "../nats/mail/forget.ts";
import { openMail, type Mail } from "../nats/mail/mail.ts";
import type { SettledCopy } from "../nats/mail/settler.ts";
import type { EndedSession } from "../nats/session-ends.ts";
import type { StoreRoom } from "../nats/store-room.ts";
import type { Messaging } from "../rpc/messages.ts";
import type { Logger } from "../telemetry/logger.ts";
import { sessionEnds } from "./session-ends.ts";
import type { Stores } from "./stores.ts";

export interface RuleOptions {
  readonly nats: Nats;
  readonly stores: Stores;
  /** Whether there is any for more mail. */
  readonly room: StoreRoom;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly logger: Logger;
  readonly instanceId: string;
  readonly maxPayloadBytes: number;
}

/** The domain, complete: what the handlers call. */
export interface Rules extends AsyncDisposable {
  readonly messaging: Messaging;
  readonly registry: PartyRegistry;
  readonly partyStreams: PartyStreams;
  readonly eventStreams: EventStreams;
  readonly publisher: EventPublisher;
  readonly coordinator: Coordinator;
}

export function createRules(options: RuleOptions): Rules {
  const { nats, stores, settings, clock, logger } = options;
  const { sessions, events, audience, parties, presence } = stores;
  const resources = new AsyncDisposableStack();
  const coordinator = resources.use(
    createCoordinator({
      ...stores,
      ...settings,
      hasMail: (sessionId) => hasMail(nats, sessionId),
      forgetSession: async (sessionId) => {
        await forgetMail(nats, sessionId);
        await events.removeSession(sessionId);
      },
      clock,
      randomness: options.randomness,
      log: logger,
      defaultTtlMs: settings.sessionTtlMs,
    }),
  );
  const partySessions = resources.use(createPartySessions(sessions, clock));
  const partyStreams = createPartyStreams({ ...settings, presence, audience, clock });
  const registry = createPartyRegistry({
    ...settings,
    parties,
    presence,
    contacts: createContactBook(createVault(stores.secrets, stores.keyring)),
    sessions: partySessions,
    pending: stores.pending,
    clock,
  });
  const eventStreams = resources.use(
    createEventStreams({
      store: events,
      directory: coordinator,
      partySessions,
      partyStreams,
      isRegistered: (partyId) => registry.isRegistered(partyId),
      clock,
    }),
  );
  const publisher = createEventPublisher({
    ...options,
    store: events,
    audience,
    directory: coordinator,
  });
  const messaging = createMessaging(options, partyStreams, resources);
  resources.use(keepHouse(coordinator));
  return {
    messaging,
    registry,
    partyStreams,
    eventStreams,
    publisher,
    coordinator,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

function createMessaging(
  options: RuleOptions,
  partyStreams: PartyStreams,
  resources: AsyncDisposableStack,
): Messaging {
  const { nats, stores, settings, clock } = options;
  const { sessions } = stores;
  const ends = sessionEnds(sessions, clock);
  const creationClock = createCreationClock();
  const mail: Mail = resources.use(
    openMail({
      ...settings,
      ...options,
      maxPayloadBytes: options.maxPayloadBytes,
      creationClock,
      roster: async (sessionId) =>
        (await recordOf(sessions, sessionId))?.parties.map(({ partyId }) => partyId),
      tellFailure: (copy) => tellFailure(stores, copy),
      ends,
    }),
  );
  const steps = [mail.fold, (ended: EndedSession) => forgetBeforeEnd(nats, ended)];
  resources.use(startAftercare({ ...options, ends, steps }));
  const endings = resources.use(createSessionEndings(sessions, clock));
  const common = { ...mail, sessions, clock };
  return {
    partyStreams,
    route: createRouting({
      ...common,
      ...options,
      keyring: stores.keyring,
      creationClock,
    }),
    receiving: createReceiving({ ...common, endings }),
    acknowledge: createAcknowledging({
      ...common,
      rules: settings,
      publish: async (event) => void (await stores.events.append(event, "")),
    }),
    status: createStatusReading(common),
  };
}

/** What this instance has not heard of yet is read; `undefined`: the session is forgotten. */
async function recordOf(
  sessions: Stores["sessions"],
  sessionId: string,
): Promise<SessionRecord | undefined> {
  return (sessions.cached(sessionId) ?? (await sessions.read(sessionId)))?.record;
}

/** Stores the event of a message that failed for good, unless it is there already. */
async function tellFailure(stores: Stores, copy: SettledCopy): Promise<void> {
  const record = await recordOf(stores.sessions, copy.box.sessionId);
  const seat = record && seatOf(record, copy.box.partyId);
  const failed = copy.records.failed;
  if (record === undefined || seat === undefined || failed === undefined) return;
  const event = messageFailedEvent(record, {
    messageId: copy.messageId,
    fromParty: copy.facts.fromParty,
    partyIndex: seat.partyIndex,
    at: failed.at,
  });
  await stores.events.append(event, "");
}

function keepHouse(coordinator: Coordinator): AsyncDisposable {
  const stopping = new AbortController();
  const running = coordinator.housekeeping.run(stopping.signal);
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running;
    },
  };
}
