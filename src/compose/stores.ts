import { readSealKeyFile } from "../config/seal-key-file.ts";
import type { Settings } from "../config/settings-table.ts";
import type { Clock } from "../domain/clock.ts";
import type { EventAudience, EventStore } from "../domain/events/event-ports.ts";
import type { PartyStore, PendingCounter, Presence } from "../domain/parties/party.ts";
import type { JoinMissCounter, SessionStore } from "../domain/sessions/session-ports.ts";
import type { Nats } from "../nats/connection.ts";
import { openSealKeys, type SealKeys } from "../nats/dev-seal-key.ts";
import { openEventAudience } from "../nats/event-audience.ts";
import { openEventStore } from "../nats/event-store.ts";
import { announceInstance } from "../nats/instance.ts";
import { openJoinMissCounter } from "../nats/join-miss-counter.ts";
import { createPendingCounter } from "../nats/mailbox-size.ts";
import { openPartyStore } from "../nats/party-store.ts";
import { openPresence } from "../nats/presence.ts";
import { openSecretStore } from "../nats/secret-store.ts";
import { openSessionStore } from "../nats/session-store.ts";
import type { Logger } from "../telemetry/logger.ts";

export interface StoreOptions {
  readonly nats: Nats;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly instanceId: string;
}

/** Everything that outlives a call, but for the mail. */
export interface Stores extends AsyncDisposable {
  readonly sealKeys: SealKeys;
  readonly secrets: ReturnType<typeof openSecretStore>;
  readonly sessions: SessionStore;
  readonly joinMisses: JoinMissCounter;
  readonly events: EventStore;
  readonly audience: EventAudience;
  readonly parties: PartyStore;
  readonly presence: Presence;
  readonly pending: PendingCounter;
}

export async function openStores(options: StoreOptions): Promise<Stores> {
  const { nats, settings, logger } = options;
  await using resources = new AsyncDisposableStack();
  const { sealKeyFile } = settings;
  const fileKeys = sealKeyFile === undefined ? [] : await readSealKeyFile(sealKeyFile);
  const sealKeys = await openSealKeys(nats, fileKeys);
  const instance = resources.use(await announceInstance(nats, { id: options.instanceId, logger }));
  const sessions = resources.use(await openSessionStore(nats, options));
  const events = resources.use(await openEventStore(nats, options));
  const presence = resources.use(openPresence(nats, { ...settings, logger }));
  const audience = resources.use(openEventAudience(nats, { instance, logger }));
  const held = resources.move();
  return {
    sealKeys,
    secrets: openSecretStore(nats),
    sessions,
    joinMisses: openJoinMissCounter(nats),
    events,
    audience,
    parties: openPartyStore(nats),
    presence,
    pending: createPendingCounter(nats),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}
