import { RouterError } from "../errors.ts";
import { isId, requireId, requireWhole } from "../ids.ts";
import { isForgotten } from "./session-access.ts";
import type { SessionStore } from "./session-ports.ts";
import { invalid } from "./session-shape.ts";
import { asOf } from "./session-view.ts";
import { seatOf, type SessionRecord, type SessionStatus, type SessionType } from "./session.ts";

/** What ListSessions asks for; empty where everything is wanted. */
export interface SessionQuery {
  readonly status: string;
  readonly type: string;
  readonly partyId: string;
  /** 0: the default. */
  readonly pageSize: number;
  readonly pageToken: string;
}

export interface SessionPage {
  /**
   * Newest first; keygen sessions that ended more than a day ago come after all others, the one completed last first.
   * While many of those are looked through for few that match, a page may be short, or empty, though others follow.
   */
  readonly records: readonly SessionRecord[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

export interface CheckedQuery {
  readonly status: SessionStatus | undefined;
  readonly type: SessionType | undefined;
  readonly partyId: string | undefined;
  readonly pageSize: number;
  /** The last of the page before, where that was a session that answers calls. */
  readonly after: Place | undefined;
  /** Set where only kept sessions are left to be listed: those kept before this place. */
  readonly keptBefore: number | undefined;
}

/** A session's place in the list. Ids make it total. */
interface Place {
  readonly createdAt: number;
  readonly sessionId: string;
}

const defaultPageSize = 50;
const maxPageSize = 500;
/** Kept sessions looked at in one call: they are read from the store, 5,000 of them in some 0.1 s. */
const maxLooked = 5_000;
const statuses: readonly string[] = [
  "created",
  "in_progress",
  "completed",
  "failed",
  "expired",
] satisfies SessionStatus[];

export function checkedQuery(query: SessionQuery): CheckedQuery {
  const { status, type, partyId, pageSize, pageToken } = query;
  if (status !== "" && !statuses.includes(status)) {
    throw invalid("status_filter", `must be one of ${statuses.join(", ")}`);
  }
  if (type !== "" && type !== "keygen" && type !== "sign") {
    throw invalid("type_filter", "must be keygen or sign");
  }
  return {
    status: status === "" ? undefined : (status as SessionStatus),
    type: type === "" ? undefined : type,
    partyId: partyId === "" ? undefined : requireId("party_filter", partyId),
    pageSize: requireWhole("page_size", pageSize, { min: 0, max: maxPageSize }) || defaultPageSize,
    ...decodeToken(pageToken),
  };
}

/** One page. All sessions that answer calls are in memory; of the kept ones no more are read than the page needs. */
export async function listSessions(
  query: CheckedQuery,
  sessions: Pick<SessionStore, "all" | "cached" | "catchUp" | "keptBefore">,
  nowMs: number,
): Promise<SessionPage> {
  if (query.keptBefore !== undefined) return withKept([], query, { sessions, nowMs });
  await sessions.catchUp();
  const found = createNewest(query.pageSize + 1);
  for (const { record } of sessions.all()) {
    if (isForgotten(record, nowMs)) continue;
    const view = asOf(record, nowMs);
    if (isWanted(query, view) && isAfter(query, view)) found.add(view);
  }
  const records = found.sorted().slice(0, query.pageSize);
  const last = records.at(-1);
  if (last !== undefined && found.sorted().length > query.pageSize) {
    return { records, nextPageToken: encodeToken(`${last.createdAt}.${last.sessionId}`) };
  }
  return mayBeKept(query)
    ? withKept(records, query, { sessions, nowMs })
    : { records, nextPageToken: "" };
}

interface KeptSource {
  readonly sessions: Pick<SessionStore, "cached" | "keptBefore">;
  readonly nowMs: number;
}

/** Fills the page up with kept sessions. */
async function withKept(
  recent: readonly SessionRecord[],
  query: CheckedQuery,
  { sessions, nowMs }: KeptSource,
): Promise<SessionPage> {
  const records = [...recent];
  const isRecent = ({ sessionId }: SessionRecord): boolean => {
    const known = sessions.cached(sessionId);
    return known !== undefined && !isForgotten(known.record, nowMs);
  };
  let looked = 0;
  for await (const piece of sessions.keptBefore(query.keptBefore)) {
    for (const { record, place } of piece) {
      if (!isWanted(query, record) || isRecent(record)) continue;
      if (records.length === query.pageSize) {
        return { records, nextPageToken: encodeToken(`${keptWord}.${place + 1}`) };
      }
      records.push(record);
    }
    looked += piece.length;
    const last = piece.at(-1);
    if (last !== undefined && looked >= maxLooked) {
      return { records, nextPageToken: encodeToken(`${keptWord}.${last.place}`) };
    }
  }
  return { records, nextPageToken: "" };
}

/** Only completed keygen sessions are kept beyond their retention. */
function mayBeKept({ status, type }: CheckedQuery): boolean {
  return type !== "sign" && (status === undefined || status === "completed");
}

/** The newest of any number of records, given in whatever order, while holding little more than those. */
function createNewest(count: number): {
  readonly add: (record: SessionRecord) => void;
  readonly sorted: () => readonly SessionRecord[];
} {
  let found: SessionRecord[] = [];
  const trim = (): void => {
    found = found.toSorted(compare).slice(0, count);
  };
  return {
    add(record) {
      found.push(record);
      if (found.length >= 2 * count) trim();
    },
    sorted() {
      trim();
      return found;
    },
  };
}

function isWanted({ status, type, partyId }: CheckedQuery, record: SessionRecord): boolean {
  return (
    (status === undefined || record.status === status) &&
    (type === undefined || record.type === type) &&
    (partyId === undefined || seatOf(record, partyId) !== undefined)
  );
}

function isAfter({ after }: CheckedQuery, record: SessionRecord): boolean {
  return after === undefined || compare(after, record) < 0;
}

/** Newest first. */
function compare(a: Place, b: Place): number {
  if (a.createdAt !== b.createdAt) return b.createdAt - a.createdAt;
  if (a.sessionId === b.sessionId) return 0;
  return a.sessionId < b.sessionId ? 1 : -1;
}

function isNumber(text: string): boolean {
  return /^\d{1,15}$/.test(text);
}

/** Stands in a token where a session's time does in others. */
const keptWord = "kept";

function encodeToken(text: string): string {
  return Buffer.from(text).toString("base64url");
}

function decodeToken(token: string): Pick<CheckedQuery, "after" | "keptBefore"> {
  if (token === "") return { after: undefined, keptBefore: undefined };
  const [first = "", second = "", ...rest] = Buffer.from(token, "base64url")
    .toString("utf8")
    .split(".");
  if (rest.length === 0) {
    if (first === keptWord && isNumber(second)) {
      return { after: undefined, keptBefore: Number(second) };
    }
    if (isNumber(first) && isId(second)) {
      return { after: { createdAt: Number(first), sessionId: second }, keptBefore: undefined };
    }
  }
  throw new RouterError("INVALID_FIELD", "page_token must be one that ListSessions gave");
}
