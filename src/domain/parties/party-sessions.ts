import type { Clock } from "../clock.ts";
import type { SessionStore } from "../sessions/session-ports.ts";
import { endedAt, retentionMs, type SessionRecord } from "../sessions/session.ts";
import type { PartySessions } from "./party.ts";

/** Sessions looked at again, for having been removed, with each that comes: so the index cannot outgrow the store. */
const checksPerSession = 2;

/** An index, by party, of what the session store holds: every record, live or ended within 24 hours. */
export function createPartySessions(
  sessions: Pick<SessionStore, "all" | "cached" | "catchUp" | "onChange">,
  clock: Clock,
): PartySessions & Disposable {
  const byParty = new Map<string, Set<string>>();
  /** In the order of their last check. */
  const indexed = new Map<string, readonly string[]>();

  const remove = (sessionId: string, partyIds: readonly string[]): void => {
    indexed.delete(sessionId);
    for (const partyId of partyIds) {
      const own = byParty.get(partyId);
      own?.delete(sessionId);
      if (own?.size === 0) byParty.delete(partyId);
    }
  };
  const checkOldest = (): void => {
    const [oldest] = indexed;
    if (oldest === undefined) return;
    const [sessionId, partyIds] = oldest;
    if (sessions.cached(sessionId) === undefined) return remove(sessionId, partyIds);
    indexed.delete(sessionId);
    indexed.set(sessionId, partyIds);
  };
  const add = ({ sessionId, parties }: SessionRecord): void => {
    const partyIds = parties.map((party) => party.partyId);
    const known = indexed.get(sessionId);
    // A roster never changes, but the id of a session that was removed may be used again.
    if (known !== undefined && isSame(known, partyIds)) return;
    if (known !== undefined) remove(sessionId, known);
    for (let checks = 0; checks < checksPerSession; checks += 1) checkOldest();
    indexed.set(sessionId, partyIds);
    for (const partyId of partyIds) {
      const own = byParty.get(partyId) ?? new Set();
      byParty.set(partyId, own.add(sessionId));
    }
  };
  const off = sessions.onChange(({ record }) => add(record));
  for (const { record } of sessions.all()) add(record);

  const recordsOf = async (partyId: string): Promise<readonly SessionRecord[]> => {
    await sessions.catchUp();
    const ids = [...(byParty.get(partyId) ?? [])];
    return ids.flatMap((sessionId) => sessions.cached(sessionId)?.record ?? []);
  };
  return {
    async liveSessionsOf(partyId) {
      const records = await recordsOf(partyId);
      return records.filter((record) => endedAt(record, clock.nowMs()) === 0);
    },
    async recentSessionsOf(partyId) {
      const records = await recordsOf(partyId);
      const nowMs = clock.nowMs();
      return records.filter((record) => {
        const ended = endedAt(record, nowMs);
        return ended === 0 || nowMs < ended + retentionMs;
      });
    },
    [Symbol.dispose]: off,
  };
}

function isSame(known: readonly string[], partyIds: readonly string[]): boolean {
  return known.length === partyIds.length && known.every((id, index) => id === partyIds[index]);
}
