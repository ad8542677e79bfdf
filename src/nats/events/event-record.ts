import type { StoredEvent } from "../../domain/events/event-ports.ts";
import type { SessionEvent } from "../../domain/events/session-event.ts";
import { decodeRecord } from "../json.ts";

/** What is stored of an event. */
export interface EventRecord {
  readonly event: SessionEvent;
  /** Of the event as its publisher gave it; empty where nobody did. */
  readonly contentHash: string;
}

export function decodeEvent(data: Uint8Array, sequence: number): StoredEvent {
  return { ...decodeRecord<EventRecord>(data), sequence };
}
