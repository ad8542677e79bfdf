import { RouterError } from "../errors.ts";
import { requireLive } from "./session-access.ts";
import { decided, failed, lostShare, type OutsideName } from "./session-changes.ts";
import { requireInProgress } from "./session-state.ts";
import type { SessionRecord, Transition } from "./session.ts";

/**
 * Event types by which an outside coordinator moves a session. Those about one party are not among them: the contract's
 * event cannot say which party it means.
 */
const lifecycleTypes = [
  "session_started",
  "session_completed",
  "session_failed",
  "session_expired",
] as const;

export type LifecycleType = (typeof lifecycleTypes)[number];

export function isLifecycleType(type: string): type is LifecycleType {
  return lifecycleTypes.some((known) => known === type);
}

interface OutsideMove extends OutsideName {
  /** The event's `created_at`, Unix milliseconds. */
  readonly at: number;
}

export interface OutsideTransition extends OutsideMove {
  readonly type: LifecycleType;
}

/** Makes the transition that the event reports; the same event again changes nothing. */
export function movedFromOutside(
  record: SessionRecord,
  event: OutsideTransition,
  nowMs: number,
): SessionRecord {
  if (isKnownEvent(record, event)) return record;
  requireLive(record, nowMs);
  const { eventId, contentHash, at, type } = event;
  const outside = { eventId, contentHash, at };
  if (type === "session_started") return started(record, outside);
  if (type === "session_completed") return completed(record, outside, nowMs);
  if (type === "session_failed") {
    return failed(record, { nowMs, word: "reported", reason: "reported", outside });
  }
  const delegateShare = lostShare(record.delegateShare);
  return decided(record, { status: "expired", endedAt: nowMs, delegateShare }, [
    { ...outside, type },
  ]);
}

/** Whether this very event made one of the record's transitions; another event under its id is refused. */
export function isKnownEvent(record: SessionRecord, event: OutsideName): boolean {
  const known = record.transitions.find((transition) => transition.eventId === event.eventId);
  if (known === undefined) return false;
  if (known.contentHash === event.contentHash) return true;
  throw new RouterError("EVENT_EXISTS", "event_id names another event");
}

function started(record: SessionRecord, outside: OutsideMove): SessionRecord {
  if (record.status !== "created") {
    throw new RouterError("TRANSITION_NOT_ALLOWED", "the session has started before");
  }
  return decided(record, { status: "in_progress" }, [{ ...outside, type: "session_started" }]);
}

function completed(record: SessionRecord, outside: OutsideMove, nowMs: number): SessionRecord {
  requireInProgress(record, nowMs);
  if (record.delegateShare.state === "awaited") {
    throw new RouterError("DELEGATE_SHARE_MISSING", "the delegate has not submitted the share");
  }
  const result = record.type === "keygen" ? record.publicKey : record.signature;
  if (result.length === 0) {
    throw new RouterError("TRANSITION_NOT_ALLOWED", "no party has reported a result");
  }
  const transition: Transition = { ...outside, type: "session_completed" };
  return decided(record, { status: "completed", endedAt: nowMs }, [transition]);
}
