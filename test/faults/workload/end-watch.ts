import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { MessageRouter } from "../../../gen/mpc/router/v1/message_router_pb.js";
import { pick, type Random } from "../draws.ts";
import { rest } from "../rest.ts";

const terminalTypes = ["session_completed", "session_failed", "session_expired"] as const;

export interface EndWatchPlace {
  readonly urls: readonly string[];
  readonly random: Random;
  readonly partyId: string;
}

/** Hears how the sessions of a party end, through every cut: each stream goes on where the one before ended. */
export class EndWatch {
  readonly #place: EndWatchPlace;
  readonly #events = new Map<string, Set<string>>();
  /** An id that nobody knows asks for the ends of before as well, should the first stream come too late. */
  #lastEventId = "none-yet";

  constructor(place: EndWatchPlace) {
    this.#place = place;
  }

  /** Ids of the events that tell of an end of this session, each once. */
  endsOf(sessionId: string): readonly string[] {
    return [...(this.#events.get(sessionId) ?? [])];
  }

  async watchUntil(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#read(signal);
      await rest(100, signal);
    }
  }

  async #read(signal: AbortSignal): Promise<void> {
    const { urls, random, partyId } = this.#place;
    const baseUrl = pick(random, urls);
    const sessionManager = new Http2SessionManager(baseUrl);
    const api = createClient(MessageRouter, createGrpcTransport({ baseUrl, sessionManager }));
    const headers = { "last-event-id": this.#lastEventId };
    // A router that was paused or has lost its connection to NATS must not hold up what others know.
    const limited = AbortSignal.any([signal, AbortSignal.timeout(5_000)]);
    try {
      const stream = api.subscribeSessionEvents({ partyId }, { signal: limited, headers });
      for await (const { eventId, eventType, sessionId } of stream) {
        this.#lastEventId = eventId;
        if (!terminalTypes.some((type) => type === eventType)) continue;
        const known = this.#events.get(sessionId) ?? new Set();
        this.#events.set(sessionId, known.add(eventId));
      }
    } catch {
      // Cut like any other stream; the next one goes on.
    } finally {
      sessionManager.abort();
    }
  }
}
