import { RouterError } from "../errors.ts";
import { isId, requireId, requireWhole } from "../ids.ts";
import { invalid } from "./session-shape.ts";
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
  /** Newest first. */
  readonly records: readonly SessionRecord[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

export interface CheckedQuery {
  readonly status: SessionStatus | undefined;
  readonly type: SessionType | undefined;
  readonly partyId: string | undefined;
  readonly pageSize: number;
  /** The last session of the page before. */
  readonly after: Place | undefined;
}

/** A session's place in the list. Ids make it total. */
interface Place {
  readonly createdAt: number;
  readonly sessionId: string;
}

const defaultPageSize = 50;
const maxPageSize = 500;
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
    after: pageToken === "" ? undefined : decodePlace(pageToken),
  };
}

/** Only completed keygen sessions are kept beyond their retention. */
export function mayBeKept({ status, type }: CheckedQuery): boolean {
  return status !== undefined ? status === "completed" && type !== "sign" : type !== "sign";
}

/** Collects one page out of any number of records, in whatever order, holding little more than a page. */
export function createPageCollector(query: CheckedQuery): {
  readonly add: (record: SessionRecord) => void;
  readonly page: () => SessionPage;
} {
  let found: SessionRecord[] = [];
  // One more than the page, to know whether another page follows.
  const trim = (): void => {
    found = found.toSorted(compare).slice(0, query.pageSize + 1);
  };
  return {
    add(record) {
      if (!matches(query, record)) return;
      found.push(record);
      if (found.length >= 2 * (query.pageSize + 1)) trim();
    },
    page() {
      trim();
      const records = found.slice(0, query.pageSize);
      const last = found.length > query.pageSize ? records.at(-1) : undefined;
      return { records, nextPageToken: last === undefined ? "" : encodePlace(last) };
    },
  };
}

function matches(query: CheckedQuery, record: SessionRecord): boolean {
  const { status, type, partyId, after } = query;
  return (
    (status === undefined || record.status === status) &&
    (type === undefined || record.type === type) &&
    (partyId === undefined || seatOf(record, partyId) !== undefined) &&
    (after === undefined || compare(after, record) < 0)
  );
}

/** Newest first. */
function compare(a: Place, b: Place): number {
  if (a.createdAt !== b.createdAt) return b.createdAt - a.createdAt;
  if (a.sessionId === b.sessionId) return 0;
  return a.sessionId < b.sessionId ? 1 : -1;
}

function encodePlace({ createdAt, sessionId }: Place): string {
  return Buffer.from(`${createdAt}.${sessionId}`).toString("base64url");
}

function decodePlace(token: string): Place {
  const [time = "", sessionId = "", ...rest] = Buffer.from(token, "base64url")
    .toString("utf8")
    .split(".");
  if (/^\d{1,15}$/.test(time) && isId(sessionId) && rest.length === 0) {
    return { createdAt: Number(time), sessionId };
  }
  throw new RouterError("INVALID_FIELD", "page_token must be one that ListSessions gave");
}
