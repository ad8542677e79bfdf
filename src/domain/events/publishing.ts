import { createHash } from "node:crypto";
import { requireCoordinator, type Caller } from "../caller.ts";
import type { Clock, Randomness } from "../clock.ts";
import { RouterError } from "../errors.ts";
import { isLifecycleType } from "../sessions/outside-transition.ts";
import type { SessionRecord } from "../sessions/session.ts";
import type { EventAudience, EventStore } from "./event-ports.ts";
import { requirePublication, type EventPublication } from "./event-publication.ts";
import type { OutsideCreation, SessionDirectory } from "./session-directory.ts";

export interface EventPublisher {
  /**
   * Stores an outside coordinator's event, once, and lets it have its effect on its session. Resolves with the number
   * of parties with a live stream that it matches.
   */
  publish(caller: Caller, publication: EventPublication | undefined): Promise<number>;
}

export interface EventPublisherDeps {
  readonly store: EventStore;
  readonly audience: EventAudience;
  readonly directory: Pick<SessionDirectory, "find" | "createFromEvent" | "applyLifecycleEvent">;
  readonly clock: Clock;
  readonly randomness: Randomness;
}

export function createEventPublisher(deps: EventPublisherDeps): EventPublisher {
  const { store, audience, clock, randomness } = deps;
  return {
    async publish(caller, publication) {
      const createdBy = requireCoordinator(caller);
      if (publication === undefined) throw new RouterError("INVALID_FIELD", "event is missing");
      requirePublication(publication);
      const named = {
        ...publication,
        eventId: publication.eventId === "" ? randomness.id() : publication.eventId,
      };
      // Of the event as it was given: a repeat without a time is the same event.
      const contentHash = hashOf(named);
      const event = {
        ...named,
        createdAt: named.createdAt === 0 ? clock.nowMs() : named.createdAt,
      };
      const known = publication.eventId === "" ? undefined : await store.find(event.eventId);
      if (known !== undefined) requireSame(known.contentHash, contentHash);
      const recipients =
        known?.event.selectedParties ?? (await carryOut(deps, event, { contentHash, createdBy }));
      return audience.count(recipients, event.eventType);
    },
  };
}

/** Resolves with the parties that the stored event is for: of a session that is known here, its roster. */
async function carryOut(
  { store, directory }: EventPublisherDeps,
  event: EventPublication,
  { contentHash, createdBy }: Pick<OutsideCreation, "contentHash" | "createdBy">,
): Promise<readonly string[]> {
  const { eventId, eventType, sessionId } = event;
  if (eventType === "session_created") {
    await directory.createFromEvent({ ...event, contentHash, createdBy });
    return event.selectedParties;
  }
  const session = await sessionOf(directory, event);
  if (session !== undefined) {
    if (isLifecycleType(eventType)) {
      const change = { type: eventType, eventId, contentHash, at: event.createdAt };
      await directory.applyLifecycleEvent(sessionId, change);
      return session.parties.map(({ partyId }) => partyId);
    }
    throw new RouterError("TRANSITION_NOT_ALLOWED", "event_type does not say which party it is of");
  }
  const known = await store.append(storable(event), contentHash);
  if (known !== undefined) requireSame(known.contentHash, contentHash);
  return event.selectedParties;
}

/** The session known here that the event would change; `undefined`: it is passed on as it is. */
async function sessionOf(
  directory: Pick<SessionDirectory, "find">,
  { eventType, sessionId }: EventPublication,
): Promise<SessionRecord | undefined> {
  if (!isLifecycleType(eventType) && !isPartyType(eventType)) return undefined;
  return directory.find(sessionId);
}

/** The contract's event has no field for the party that joined, is ready or has completed. */
function isPartyType(eventType: string): boolean {
  return ["party_joined", "party_ready", "party_completed"].includes(eventType);
}

function requireSame(knownHash: string, contentHash: string): void {
  if (knownHash === contentHash) return;
  throw new RouterError("EVENT_EXISTS", "event_id names another event");
}

/** What is passed on has no session to keep its secrets with: they are dropped. */
function storable(event: EventPublication): Parameters<EventStore["append"]>[0] {
  const { eventId, eventType, sessionId, thresholdN, thresholdT } = event;
  const { selectedParties, messageHash, createdAt, expiresAt } = event;
  return {
    eventId,
    eventType,
    sessionId,
    thresholdN,
    thresholdT,
    selectedParties,
    messageHash,
    createdAt,
    expiresAt,
  };
}

/** 32 hexadecimal digits that stand for all the publisher said. */
function hashOf(event: EventPublication): string {
  const share = event.delegateUserShare;
  const content = [
    event.eventId,
    event.eventType,
    event.sessionId,
    event.thresholdN,
    event.thresholdT,
    event.selectedParties,
    [...event.joinTokens].toSorted(([a], [b]) => (a < b ? -1 : 1)),
    hex(event.messageHash),
    event.createdAt,
    event.expiresAt,
    event.keygenSessionId,
    share === undefined ? [] : [share.delegatePartyId, hex(share.encryptedShare), share.partyIndex],
  ];
  return createHash("sha256").update(JSON.stringify(content)).digest("hex").slice(0, 32);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
