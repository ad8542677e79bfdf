import { BoundedMap } from "../bounded-map.ts";
import type { Clock } from "../clock.ts";
import type { EventAudience } from "../events/event-ports.ts";
import type { Presence } from "./party.ts";

/** Open streams as signs of life. A stream of messages enters with {@link noEvents}. */
export interface PartyStreams {
  /**
   * Enters a stream that wants these event types, empty for all. It is a sign of life now; resolves when other
   * instances can see party and stream.
   */
  enter(partyId: string, eventTypes: readonly string[]): Promise<PartyStream>;
  /** Notes a call of the party, a sign of life if it has a stream on any instance. Never throws, never waits. */
  noteCall(partyId: string): void;
}

export interface PartyStream extends AsyncDisposable {
  /** The stream's connection has proved alive. Never throws, never waits. */
  alive(): void;
}

/** Wants no event at all: no event type is empty. */
export const noEvents: readonly string[] = [""];

export interface PartyStreamsDeps {
  readonly presence: Presence;
  readonly audience: EventAudience;
  readonly clock: Clock;
  readonly presenceTimeoutMs: number;
}

/** Parties whose streams elsewhere were asked for a moment ago. */
const maxRemembered = 100_000;

export function createPartyStreams(deps: PartyStreamsDeps): PartyStreams {
  const { presence, audience, clock, presenceTimeoutMs } = deps;
  /** Streams of this instance, by party: bounded by their number. */
  const here = new Map<string, number>();
  const askedAt = new BoundedMap<string, number>(maxRemembered);

  const count = (partyId: string, change: 1 | -1): void => {
    const streams = (here.get(partyId) ?? 0) + change;
    if (streams === 0) here.delete(partyId);
    else here.set(partyId, streams);
  };
  const seen = (partyId: string): void => {
    // What could not be written is remembered, and written later.
    presence.seen(partyId).catch(() => undefined);
  };
  const askElsewhere = async (partyId: string): Promise<void> => {
    const now = clock.nowMs();
    if (now - (askedAt.get(partyId) ?? 0) < presenceTimeoutMs / 4) return;
    askedAt.set(partyId, now);
    if (await audience.hasStream(partyId)) await presence.seen(partyId);
  };
  return {
    async enter(partyId, eventTypes) {
      const [entry] = await Promise.all([
        audience.enter(partyId, eventTypes),
        presence.seen(partyId),
      ]);
      count(partyId, 1);
      let open = true;
      return {
        alive: () => {
          if (open) seen(partyId);
        },
        async [Symbol.asyncDispose]() {
          if (!open) return;
          open = false;
          count(partyId, -1);
          await entry[Symbol.asyncDispose]();
        },
      };
    },
    noteCall(partyId) {
      if (here.has(partyId)) seen(partyId);
      // A call says nothing of a stream elsewhere when the broker is away.
      else askElsewhere(partyId).catch(() => undefined);
    },
  };
}
