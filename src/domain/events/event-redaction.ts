import type { Clock } from "../clock.ts";
import { seatOf, statusAt, type SessionRecord } from "../sessions/session.ts";
import type { SessionDirectory } from "./session-directory.ts";
import type { PartyEvent, SessionEvent } from "./session-event.ts";

/** Makes one party's copy of an event. */
export type Redact = (event: SessionEvent, partyId: string) => Promise<PartyEvent>;

/**
 * An event is stored without secrets; so a copy is made by putting in what is the party's own, and only into the
 * session_created of a session that still lives.
 */
export function createRedaction(
  sessions: Pick<SessionDirectory, "find" | "joinTokenFor" | "lentShareFor">,
  clock: Clock,
): Redact {
  return async (event, partyId) => {
    if (event.eventType !== "session_created") return event;
    const record = await sessions.find(event.sessionId);
    if (record === undefined || !isLive(record, clock) || seatOf(record, partyId) === undefined) {
      return event;
    }
    const lentTo = record.lentShareTo?.partyId === partyId ? record.lentShareTo : undefined;
    const [joinToken, encryptedShare] = await Promise.all([
      sessions.joinTokenFor(record, partyId),
      lentTo === undefined ? undefined : sessions.lentShareFor(record),
    ]);
    return {
      ...event,
      ...(joinToken === undefined ? {} : { joinToken }),
      ...(lentTo === undefined || encryptedShare === undefined
        ? {}
        : {
            lentShare: {
              delegatePartyId: lentTo.partyId,
              encryptedShare,
              partyIndex: lentTo.partyIndex,
            },
          }),
    };
  };
}

function isLive(record: SessionRecord, clock: Clock): boolean {
  const status = statusAt(record, clock.nowMs());
  return status === "created" || status === "in_progress";
}
