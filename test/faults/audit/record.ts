/** From the call to its answer, in milliseconds since the record began. All times are of one monotonic clock. */
export interface Span {
  readonly startMs: number;
  readonly endMs: number;
}

/**
 * How a call ended. `unknown`: cut, timed out or `unavailable`, so that it may have had its effect or not. `refused`: the
 * router said no, for the reason given.
 */
export type Outcome =
  | { readonly outcome: "ok" }
  | { readonly outcome: "unknown" }
  | { readonly outcome: "refused"; readonly reason: string };

interface Call extends Span {
  readonly sessionId: string;
  readonly end: Outcome;
}

/** One attempt. A retry is an entry of its own, with the same content. */
export interface Route extends Call {
  readonly kind: "route";
  readonly from: string;
  readonly to: readonly string[];
  /** Hash of the payload, of which there are no two alike. */
  readonly hash: string;
  /** The Idempotency-Key. */
  readonly key?: string | undefined;
  /** As answered; empty unless the call was OK. */
  readonly messageId: string;
}

/** A message in the hands of a party. */
export interface Delivery {
  readonly kind: "delivery";
  readonly way: "stream" | "poll";
  /** When the stream or the poll that brought it was called. */
  readonly calledMs: number;
  readonly atMs: number;
  readonly sessionId: string;
  readonly party: string;
  readonly from: string;
  readonly messageId: string;
  readonly hash: string;
}

/** A GetPendingMessages, which may have brought nothing. What it brought are deliveries. */
export interface Poll extends Call {
  readonly kind: "poll";
  readonly party: string;
}

/** A SubscribeMessages, from the call to its end. */
export interface Stream extends Call {
  readonly kind: "stream";
  readonly party: string;
  /** When its headers came; `undefined`: never. */
  readonly openMs: number | undefined;
}

export interface Acknowledgement extends Call {
  readonly kind: "acknowledgement";
  readonly party: string;
  readonly messageId: string;
  /** What the party says: processed, or refused for now or for good. */
  readonly verdict: "processed" | "refused" | "permanent";
}

export interface StatusReading extends Call {
  readonly kind: "status";
  readonly messageId: string;
  readonly rows: readonly { readonly party: string; readonly status: string }[];
  readonly allAcknowledged: boolean;
}

/** Something that was done to a process. From just before the signal to when the process was gone, or woken. */
export interface Fault extends Span {
  readonly kind: "fault";
  readonly what: string;
  /** An unreplicated broker was killed: its newest delivery records may be gone. */
  readonly losesNewest: boolean;
}

/** A session as it reads at the end of everything. */
export interface SessionEnd {
  readonly kind: "session";
  readonly sessionId: string;
  readonly status: string;
  /** Ids of its events of the types that tell of an end, as they came, each once. */
  readonly terminalEvents: readonly string[];
}

export type Entry =
  Route | Delivery | Poll | Stream | Acknowledgement | StatusReading | Fault | SessionEnd;
