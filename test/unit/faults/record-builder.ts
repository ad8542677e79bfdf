import type {
  Acknowledgement,
  Delivery,
  Entry,
  Fault,
  Poll,
  Route,
  SessionEnd,
  StatusReading,
  Stream,
} from "../../faults/audit/record.ts";

const ok = { outcome: "ok" } as const;
const sessionId = "s";

/** A call at that time that takes 5 ms. */
const called = (startMs: number): { readonly startMs: number; readonly endMs: number } => ({
  startMs,
  endMs: startMs + 5,
});

export function route(messageId: string, startMs: number, other: Partial<Route> = {}): Route {
  return {
    kind: "route",
    ...called(startMs),
    sessionId,
    end: ok,
    from: "a",
    to: ["b"],
    hash: `content of ${messageId}`,
    messageId,
    ...other,
  };
}

export function delivery(messageId: string, atMs: number, other: Partial<Delivery> = {}): Delivery {
  return {
    kind: "delivery",
    way: "stream",
    calledMs: 0,
    atMs,
    sessionId,
    party: "b",
    from: "a",
    messageId,
    hash: `content of ${messageId}`,
    ...other,
  };
}

export function acknowledgement(
  messageId: string,
  startMs: number,
  other: Partial<Acknowledgement> = {},
): Acknowledgement {
  return {
    kind: "acknowledgement",
    ...called(startMs),
    sessionId,
    end: ok,
    party: "b",
    messageId,
    verdict: "processed",
    ...other,
  };
}

export function status(
  messageId: string,
  startMs: number,
  rows: Readonly<Record<string, string>>,
): StatusReading {
  return {
    kind: "status",
    ...called(startMs),
    sessionId,
    end: ok,
    messageId,
    rows: Object.entries(rows).map(([party, read]) => ({ party, status: read })),
    allAcknowledged: Object.values(rows).every((read) => read === "acknowledged"),
  };
}

export function stream(startMs: number, endMs: number): Stream {
  return { kind: "stream", startMs, endMs, openMs: startMs, sessionId, party: "b", end: ok };
}

export function poll(startMs: number): Poll {
  return { kind: "poll", ...called(startMs), sessionId, end: ok, party: "b" };
}

export function fault(what: string, startMs: number, other: Partial<Fault> = {}): Fault {
  return { kind: "fault", what, startMs, endMs: startMs + 10, losesNewest: false, ...other };
}

export function session(read: string, ...terminalEvents: readonly string[]): SessionEnd {
  return { kind: "session", sessionId, status: read, terminalEvents };
}

/** Two messages that were sent, delivered and acknowledged as promised, each in 100 ms; the session is completed. */
export function goodRecord(): Entry[] {
  return [
    stream(0, 1_000),
    route("m1", 100),
    delivery("m1", 120),
    status("m1", 130, { b: "delivered" }),
    acknowledgement("m1", 140),
    status("m1", 150, { b: "acknowledged" }),
    route("m2", 200),
    delivery("m2", 220),
    acknowledgement("m2", 240),
    session("completed", "h-session_completed"),
  ];
}
