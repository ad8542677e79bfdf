/** What the stores know of the ends of sessions. */
export interface SessionEnds {
  /** Whether the session may have ended, as last heard; true as well where nothing is known of it. */
  mayHaveEnded(sessionId: string): boolean;
  /** Sessions that have ended, with all their events stored, and are not forgotten yet; as last heard. */
  all(): Iterable<EndedSession>;
  /** Calls back with each that ends, at least once. Returns the way to stop. */
  onEnd(listener: (ended: EndedSession) => void): () => void;
}

export interface EndedSession {
  readonly sessionId: string;
  /** Unix milliseconds. */
  readonly endedAt: number;
}
