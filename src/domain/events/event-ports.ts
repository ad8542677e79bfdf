import type { SessionEvent } from "./session-event.ts";

/** An event with its place in the one order over all sessions. */
export interface StoredEvent {
  readonly event: SessionEvent;
  readonly sequence: number;
  /** Hash of the event as its publisher gave it; empty for events that follow from a transition. */
  readonly contentHash: string;
}

/** The one ordered, durable stream of events over all sessions. */
export interface EventStore {
  /**
   * Stores the event unless one with its id is there; durable when it resolves. `undefined`: stored now; else the one
   * that was there, in whichever session.
   */
  append(event: SessionEvent, contentHash: string): Promise<StoredEvent | undefined>;
  /** The stored event of this id, in whichever session; from the leader. */
  find(eventId: string): Promise<StoredEvent | undefined>;
  /** Sequence of the newest event stored before the call; 0 when there is none. */
  lastSequence(): Promise<number>;
  /** Stored events of one session, or of all, with `after < sequence <= upTo`, in order. */
  read(range: {
    readonly after: number;
    readonly upTo: number;
    readonly sessionId?: string;
  }): AsyncIterable<StoredEvent>;
  /** Stored events of these sessions with `sequence <= upTo`, in order; for few sessions, since all are in memory at once. */
  ofSessions(sessionIds: readonly string[], upTo: number): Promise<readonly StoredEvent[]>;
  /**
   * Every event stored from now on, in order and without a gap, also through a reconnect, to every listener. Returns
   * the way to stop.
   */
  onEvent(listener: (stored: StoredEvent) => void): () => void;
  /** The sequence up to which listeners have been told everything. */
  heardSequence(): number;
  /** Removes a session's events. */
  removeSession(sessionId: string): Promise<void>;
}

/** Which parties have a live event stream, over all instances. */
export interface EventAudience {
  /** Enters a stream of this party; empty `eventTypes` is all. Resolves when other instances can see it. */
  enter(partyId: string, eventTypes: readonly string[]): Promise<AsyncDisposable>;
  /** How many of these parties have a live stream that wants this type; may be too high for 5 s after a crash. */
  count(partyIds: readonly string[], eventType: string): Promise<number>;
  /** Whether the party has a live stream on any instance, whatever it wants; likewise. */
  hasStream(partyId: string): Promise<boolean>;
}
