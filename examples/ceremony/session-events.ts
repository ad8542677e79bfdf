import { setTimeout as sleep } from "node:timers/promises";
import type { SessionEvent } from "../../gen/mpc/router/v1/message_router_pb.js";
import { firstOf } from "./retry.ts";
import type { RouterLink } from "./router-link.ts";

/** How long an event may be missing before the party asks for the session's status instead. */
const missingEventMs = 2_000;

const failures: ReadonlySet<string> = new Set(["failed", "expired"]);

/** A session as its party waits for it. */
interface WatchedSession {
  readonly partyId: string;
  readonly sessionId: string;
  /** The last event known; what the party waits for came after it. */
  readonly lastEventId: string;
}

/**
 * The next session that wants this party. A new stream replays the events of all live sessions, so an invitation that
 * was sent while the party was busy, or away, is not lost; `known` tells which ones were answered.
 */
export async function nextInvitation(
  link: RouterLink,
  party: { readonly partyId: string; readonly known: ReadonlySet<string> },
  signal: AbortSignal,
): Promise<SessionEvent> {
  const { partyId, known } = party;
  const request = { partyId, eventTypes: ["session_created"] };
  const stream = link.follow(
    (options) => link.api.subscribeSessionEvents(request, options),
    signal,
  );
  for await (const event of stream) {
    if (!known.has(event.sessionId)) return event;
  }
  throw new Error("the router ended the stream of session events");
}

/**
 * Waits until the session has reached a status, by its event or, should that have been missed, by asking.
 * Resolves with the way it was learned; rejects when the session failed or expired instead.
 */
export async function sessionReached(
  link: RouterLink,
  session: WatchedSession & { readonly status: "in_progress" | "completed" },
  signal: AbortSignal,
): Promise<"event" | "status"> {
  const wanted = session.status === "completed" ? ["completed"] : ["in_progress", "completed"];
  const check = (status: string): boolean => {
    if (failures.has(status)) throw new Error(`session ${session.sessionId} has ${status}`);
    return wanted.includes(status);
  };
  return firstOf<"event" | "status">(signal, [
    async (stop) => byEvent(link, { ...session, check }, stop),
    async (stop) => byStatus(link, { ...session, check }, stop),
  ]);
}

/** The status that an event of the session announces. */
const statusOfEvent: Readonly<Record<string, string>> = {
  session_started: "in_progress",
  session_completed: "completed",
  session_failed: "failed",
  session_expired: "expired",
};

type Check = { readonly check: (status: string) => boolean };

async function byEvent(
  link: RouterLink,
  session: WatchedSession & Check,
  signal: AbortSignal,
): Promise<"event"> {
  const { partyId, sessionId } = session;
  const request = { partyId, eventTypes: Object.keys(statusOfEvent) };
  let lastEventId = session.lastEventId;
  const stream = link.follow(
    (options) =>
      link.api.subscribeSessionEvents(request, {
        ...options,
        headers: { "last-event-id": lastEventId },
      }),
    signal,
  );
  for await (const event of stream) {
    lastEventId = event.eventId;
    const status = statusOfEvent[event.eventType];
    if (event.sessionId === sessionId && status !== undefined && session.check(status)) {
      return "event";
    }
  }
  throw new Error("the router ended the stream of session events");
}

async function byStatus(
  link: RouterLink,
  session: WatchedSession & Check,
  signal: AbortSignal,
): Promise<"status"> {
  const { sessionId } = session;
  for (;;) {
    await sleep(missingEventMs, undefined, { signal });
    const answer = await link.call(
      async (options) => link.api.getSessionStatus({ sessionId }, options),
      signal,
    );
    if (session.check(answer.status)) return "status";
  }
}
