import type { Settings } from "../config/settings-table.ts";
import type { Clock } from "../domain/clock.ts";
import type { EventAudience, EventStore } from "../domain/events/event-ports.ts";
import type { PartyStore, PendingCounter, Presence } from "../domain/parties/party.ts";
import type { Keyring } from "../domain/secrets/keyring.ts";
import type { JoinMissCounter, SessionStore } from "../domain/sessions/session-ports.ts";
import type { SecretStore } from "../domain/secrets/secret-ports.ts";
import type { Nats } from "../nats/connection.ts";
import { openEventAudience } from "../nats/events/event-audience.ts";
import { openEventStore } from "../nats/events/event-store.ts";
import { announceInstance, type InstanceLife } from "../nats/instance.ts";
import { openJoinMissCounter } from "../nats/sessions/join-miss-counter.ts";
import { createPendingCounter } from "../nats/mail/mailbox-size.ts";
import { openPartyStore } from "../nats/parties/party-store.ts";
import { openPresence } from "../nats/parties/presence.ts";
import { openSessionStore } from "../nats/sessions/session-store.ts";
import type { Logger } from "../telemetry/logger.ts";
import { openSecrets } from "./secrets.ts";

export interface StoreOptions {
  readonly nats: Nats;
  readonly settings: Settings;
  readonly sealKeys: readonly Uint8Array[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly instanceId: string;
}

/** Everything that outlives a call, but for the mail. */
export interface Stores extends AsyncDisposable {
  readonly instance: InstanceLife;
  readonly secrets: SecretStore;
  readonly keyring: Keyring;
  /** What the operator should know, one line each. */
  readonly warnings: readonly string[];
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
  const instance = resources.use(await announceInstance(nats, { id: options.instanceId, logger }));
  const sessions = resources.use(await openSessionStore(nats, options));
  const events = resources.use(await openEventStore(nats, options));
  const parties = resources.use(openPartyStore(nats, { logger }));
  const presence = resources.use(openPresence(nats, { ...settings, logger }));
  const audience = resources.use(openEventAudience(nats, { instance, logger }));
  const secrets = await openSecrets({ ...options, sessions });
  const held = resources.move();
  return {
    ...secrets,
    instance,
    sessions,
    joinMisses: openJoinMissCounter(nats),
    events,
    audience,
    parties,
    presence,
    pending: createPendingCounter(nats),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}
