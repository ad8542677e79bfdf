import { BoundedSet } from "./bounded-set.ts";
import { EventReader } from "./event-reader.ts";
import { isPartyError, partyErrorOf, type PartyError } from "./party-error.ts";
import { partyEventOf, type PartyEvent } from "./party-event.ts";
import { backOff, either, orAborted } from "./pause.ts";
import type { RouterLink, StreamControl } from "./router-link.ts";

/** Ids of events that were heard, to tell those that come again. */
const mostIds = 10_000;

/** Sessions that are remembered as ended, and as live with their events. */
const mostSessions = 1_000;

/** Events that are kept of one live session. */
const mostEventsOfSession = 1_000;

/**
 * Nothing tells a dead HTTP/1.1 connection from one on which nothing happens: a stream that was silent for that long is
 * opened anew where it stood.
 */
const silentMs = 60_000;

const endings: ReadonlySet<string> = new Set([
  "session_completed",
  "session_failed",
  "session_expired",
]);

export interface HubOptions {
  readonly partyId: string;
  /** Registers the party again, should the router not know it any more. */
  readonly register: (signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
}

/** The one stream of session events of a party, shared by all that want to hear of them. */
export class EventHub {
  readonly #link: RouterLink;
  readonly #options: HubOptions;
  readonly #heard = new BoundedSet(mostIds);
  readonly #ended = new BoundedSet(mostSessions);
  readonly #history = new Map<string, PartyEvent[]>();
  readonly #readers = new Set<EventReader>();
  readonly #watchers = new Set<(event: PartyEvent) => void>();
  readonly #control: StreamControl = {};
  #lastEventId = "";
  #holds = 0;
  #held = new AbortController();
  #released = Promise.withResolvers<void>();
  #running: Promise<void> | undefined;
  #failure: PartyError | undefined;

  constructor(link: RouterLink, options: HubOptions) {
    this.#link = link;
    this.#options = options;
  }

  /** Whether events come in by themselves: the stream is neither held nor given up. */
  get isFlowing(): boolean {
    return this.#running !== undefined && this.#holds === 0 && this.#failure === undefined;
  }

  hasEnded(sessionId: string): boolean {
    return this.#ended.has(sessionId);
  }

  /** All events of live sessions that were heard so far, then what comes. */
  read(options: {
    readonly types?: readonly string[] | undefined;
    readonly signal: AbortSignal;
  }): EventReader {
    const reader = new EventReader({ ...options, onClose: () => this.#readers.delete(reader) });
    for (const events of this.#history.values()) for (const event of events) reader.put(event);
    this.#readers.add(reader);
    this.#start();
    return reader;
  }

  /** Calls the watcher for every new event. Returns the way to stop. */
  watch(watcher: (event: PartyEvent) => void): () => void {
    this.#watchers.add(watcher);
    this.#start();
    return () => this.#watchers.delete(watcher);
  }

  /** Closes the stream while something else takes its place. Returns the way to open it again where it stood. */
  hold(): () => void {
    this.#holds++;
    this.#held.abort();
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#holds--;
      if (this.#holds > 0) return;
      this.#held = new AbortController();
      this.#released.resolve();
      this.#released = Promise.withResolvers();
    };
  }

  /** The connections may be dead without a sign. */
  reopen(): void {
    this.#control.reopen?.();
  }

  /** Resolves when the stream is closed, after the signal has fired. */
  async stopped(): Promise<void> {
    await this.#running;
  }

  /** Begins to listen, also anew after the router has refused it. */
  #start(): void {
    if (this.#running !== undefined && this.#failure === undefined) return;
    this.#failure = undefined;
    this.#running = this.#run().catch((error: unknown) => {
      this.#failure = partyErrorOf(error);
      for (const reader of this.#readers) reader.fail(this.#failure);
    });
  }

  async #run(): Promise<void> {
    const { signal, register } = this.#options;
    for (let strangeness = 0; ;) {
      if (this.#holds > 0) await orAborted(this.#released.promise, signal);
      const held = this.#held.signal;
      try {
        await this.#listen(either(signal, held));
      } catch (error) {
        if (signal.aborted) throw error;
        if (held.aborted) continue;
        // A router whose data was lost knows nobody.
        if (!isPartyError(error, "NOT_REGISTERED")) throw error;
        await register(signal);
        await backOff(strangeness++, signal);
      }
    }
  }

  async #listen(signal: AbortSignal): Promise<void> {
    const { partyId } = this.#options;
    const { api } = this.#link;
    const stream = this.#link.follow(
      (options) => {
        const headers = new Headers(options.headers);
        if (this.#lastEventId !== "") headers.set("last-event-id", this.#lastEventId);
        return api.subscribeSessionEvents({ partyId }, { ...options, headers });
      },
      { signal, silentMs, isEndless: true, control: this.#control },
    );
    for await (const wire of stream) this.#hear(partyEventOf(wire, partyId));
  }

  #hear(event: PartyEvent): void {
    this.#lastEventId = event.eventId;
    if (!this.#heard.add(event.eventId)) return;
    this.#remember(event);
    for (const watcher of this.#watchers) watcher(event);
    for (const reader of this.#readers) reader.put(event);
  }

  #remember(event: PartyEvent): void {
    const { sessionId, type } = event;
    if (endings.has(type)) {
      this.#history.delete(sessionId);
      this.#ended.add(sessionId);
      return;
    }
    if (type === "session_created") {
      this.#history.set(sessionId, [event]);
      const [oldest = ""] = this.#history.keys();
      if (this.#history.size > mostSessions) this.#history.delete(oldest);
      return;
    }
    const events = this.#history.get(sessionId);
    if (events !== undefined && events.length < mostEventsOfSession) events.push(event);
  }
}
