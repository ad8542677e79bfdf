import { eraseAt } from "./delegate-share.ts";
import { lostShare } from "./session-changes.ts";
import { isTerminal, statusAt, type SessionRecord } from "./session.ts";

/** The record as it reads at this moment: its time may be over before anybody wrote that down. */
export function asOf(record: SessionRecord, nowMs: number): SessionRecord {
  if (!isTerminal(record.status) && statusAt(record, nowMs) === "expired") {
    const { expiresAt, delegateShare } = record;
    const share = lostShare(delegateShare);
    return { ...record, status: "expired", endedAt: expiresAt, delegateShare: share };
  }
  const share = record.delegateShare;
  const isWaiting = share.state === "stored" || share.state === "taken";
  if (!isWaiting || nowMs < eraseAt(record, nowMs)) return record;
  return { ...record, delegateShare: { ...share, state: "erased" } };
}
