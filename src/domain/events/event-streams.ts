import { actingParty, type Caller } from "../caller.ts";
import { withinBudget } from "../call-budget.ts";
import type { Clock } from "../clock.ts";
import { RouterError } from "../errors.ts";
import { requireId } from "../ids.ts";
import type { PartySessions } from "../parties/party.ts";
import type { PartyStream, PartyStreams } from "../parties/party-streams.ts";
import { createEventHub } from "./event-hub.ts";
import type { EventStore, StoredEvent } from "./event-ports.ts";
import { EventQueue } from "./event-queue.ts";
import { createRedaction, type Redact } from "./event-redaction.ts";
import { replayFrom, replayOf, type Replay } from "./event-replay.ts";
import { readOn, untilAnswered } from "./patience.ts";
import type { SessionDirectory } from "./session-directory.ts";
import type { PartyEvent, SessionEvent } from "./session-event.ts";

/** Events that may wait for a stream that reads slowly; beyond that they are read from the store again. */
const queuedEvents = 1_000;
const maxEventTypes = 100;

interface EventStreamRequest {
  readonly partyId: string;
  /** Empty: all. */
  readonly eventTypes: readonly string[];
  /** The last event the party has, empty when it says nothing of that. */
  readonly lastEventId: string;
}

/** A subscription that has begun: nothing that is stored from now on will be missing from it. */
interface EventStream extends AsyncDisposable {
  /** The stream's connection has proved alive. */
  alive(): void;
  /** First what the party missed, then events as they come, in order, until the signal. To be called once. */
  events(signal: AbortSignal): AsyncIterable<PartyEvent>;
}

export interface EventStreams extends Disposable {
  /** Refuses a party that is not registered. */
  open(caller: Caller, request: EventStreamRequest): Promise<EventStream>;
}

export interface EventStreamsDeps {
  readonly store: EventStore;
  readonly directory: Pick<SessionDirectory, "find" | "joinTokenFor" | "lentShareFor">;
  readonly partySessions: PartySessions;
  readonly partyStreams: PartyStreams;
  readonly isRegistered: (partyId: string) => Promise<boolean>;
  readonly clock: Clock;
}

export function createEventStreams(deps: EventStreamsDeps): EventStreams {
  const { store, partySessions, partyStreams } = deps;
  const hub = createEventHub(store);
  const redact = createRedaction(deps.directory, deps.clock);

  const begin = async (request: EventStreamRequest): Promise<EventStream> => {
    const { partyId, eventTypes, lastEventId } = request;
    const last = await requireParty(deps, request);
    const queue = new EventQueue(queuedEvents);
    const wanted = matcher(partyId, eventTypes);
    const { after, leave } = hub.join(partyId, (stored) => {
      if (wanted(stored.event)) queue.push(stored);
    });
    let entry: PartyStream | undefined;
    try {
      entry = await partyStreams.enter(partyId, eventTypes);
      const replay =
        last === undefined
          ? await replayOf(partySessions, partyId, { withEnded: lastEventId !== "" })
          : replayFrom(last.sequence);
      return eventStream({ store, redact, partyId, wanted, queue, after, replay, leave, entry });
    } catch (error) {
      leave();
      await entry?.[Symbol.asyncDispose]();
      throw error;
    }
  };
  return {
    async open(caller, request) {
      actingParty(caller, requireId("party_id", request.partyId));
      requireTypes(request.eventTypes);
      if (request.lastEventId !== "") requireId("Last-Event-ID", request.lastEventId);
      const beginning = begin(request);
      try {
        return await withinBudget("subscribing to events", beginning);
      } catch (error) {
        // One that comes too late has no reader any more.
        beginning.then((stream) => stream[Symbol.asyncDispose](), ignore);
        throw error;
      }
    },
    [Symbol.dispose]: () => hub[Symbol.dispose](),
  };
}

/** Refuses a party that is not registered; resolves with the last event it has, where that is still known. */
async function requireParty(
  { store, isRegistered }: EventStreamsDeps,
  { partyId, lastEventId }: EventStreamRequest,
): Promise<StoredEvent | undefined> {
  const [registered, last] = await Promise.all([
    isRegistered(partyId),
    lastEventId === "" ? undefined : store.find(lastEventId),
  ]);
  if (registered) return last;
  throw new RouterError("NOT_REGISTERED", "party_id must be registered first");
}

interface Opened {
  readonly store: EventStore;
  readonly redact: Redact;
  readonly partyId: string;
  readonly wanted: (event: SessionEvent) => boolean;
  readonly queue: EventQueue;
  /** The queue gets what comes after this event; what is before is replayed. */
  readonly after: number;
  readonly replay: Replay;
  readonly leave: () => void;
  readonly entry: PartyStream;
}

function eventStream(opened: Opened): EventStream {
  const { redact, partyId, leave, entry } = opened;
  return {
    alive: () => entry.alive(),
    async *events(signal) {
      for await (const event of wantedEvents(opened, signal)) {
        const copy = await untilAnswered(signal, () => redact(event, partyId));
        if (copy === undefined) return;
        yield copy;
      }
    },
    async [Symbol.asyncDispose]() {
      leave();
      await entry[Symbol.asyncDispose]();
    },
  };
}

async function* wantedEvents(opened: Opened, signal: AbortSignal): AsyncGenerator<SessionEvent> {
  const { store, wanted, queue, replay } = opened;
  let position = opened.after;
  for await (const { event } of replay(store, position, signal)) if (wanted(event)) yield event;
  for (;;) {
    const next = await queue.next(signal);
    if (next === undefined) return;
    if (next !== "missed") {
      position = next.sequence;
      yield next.event;
      continue;
    }
    // In one step: what is heard from here on is in the queue, what was heard before is read.
    queue.resume();
    const range = { after: position, upTo: store.heardSequence() };
    for await (const { event } of readOn(store, range, signal)) if (wanted(event)) yield event;
    position = range.upTo;
  }
}

function matcher(partyId: string, eventTypes: readonly string[]): (event: SessionEvent) => boolean {
  const types = new Set(eventTypes);
  return ({ eventType, selectedParties }) =>
    (types.size === 0 || types.has(eventType)) && selectedParties.includes(partyId);
}

function requireTypes(eventTypes: readonly string[]): void {
  if (eventTypes.length > maxEventTypes) {
    throw new RouterError("INVALID_FIELD", `event_types must be at most ${maxEventTypes}`);
  }
  for (const type of eventTypes) requireId("event_types", type);
}

function ignore(): void {
  // The caller has been told already.
}
