import type { EventStore } from "../../src/domain/events/event-ports.ts";
import type { SessionDirectory } from "../../src/domain/events/session-directory.ts";
import { eventOf } from "../../src/domain/events/session-event.ts";
import { RouterError } from "../../src/domain/errors.ts";
import type { PartySessions, PendingCounter } from "../../src/domain/parties/party.ts";
import type { SecretStore } from "../../src/domain/secrets/secret-ports.ts";
import {
  isTerminal,
  type SessionRecord,
  type SessionStatus,
  type Transition,
} from "../../src/domain/sessions/session.ts";

type Lookups = Pick<SessionDirectory, "find" | "joinTokenFor" | "lentShareFor">;

/** Sessions in memory, shared by all instances of a test, so that a test can put them into any state. */
export interface TestSessions extends Lookups, PartySessions, PendingCounter {
  readonly records: Map<string, SessionRecord>;
  /** Sealed values as they are stored. */
  readonly sealed: Map<string, Uint8Array>;
  readonly secrets: SecretStore;
  /** What came in by events, in words. */
  readonly calls: string[];
  pendingCount: number;
  /** Makes a session and stores its session_created. */
  create(store: EventStore, sessionId: string, partyIds: readonly string[]): Promise<void>;
  /** Moves a session and stores the event of it. */
  move(store: EventStore, sessionId: string, type: MoveType): Promise<void>;
  on(store: EventStore): SessionDirectory;
}

type MoveType = "session_started" | "session_completed" | "session_expired";

const statusAfter: Record<MoveType, SessionStatus> = {
  session_started: "in_progress",
  session_completed: "completed",
  session_expired: "expired",
};

export function createTestSessions(): TestSessions {
  const records = new Map<string, SessionRecord>();
  const sealed = new Map<string, Uint8Array>();
  const calls: string[] = [];
  const of = (partyId: string): SessionRecord[] =>
    [...records.values()].filter(({ parties }) => parties.some((seat) => seat.partyId === partyId));
  const known = (sessionId: string): SessionRecord => {
    const record = records.get(sessionId);
    if (record === undefined) throw new Error(`no session ${sessionId}`);
    return record;
  };
  const sessions: TestSessions = {
    records,
    sealed,
    secrets: secretsIn(sealed),
    calls,
    pendingCount: 0,
    count: async () => sessions.pendingCount,
    find: async (sessionId) => records.get(sessionId),
    joinTokenFor: async (record, partyId) => `token-${record.sessionId}-${partyId}`,
    lentShareFor: async () => new Uint8Array([9, 9]),
    liveSessionsOf: async (partyId) => of(partyId).filter(({ status }) => !isTerminal(status)),
    recentSessionsOf: async (partyId) => of(partyId),
    async create(store, sessionId, partyIds) {
      const record = newRecord(sessionId, partyIds);
      records.set(sessionId, record);
      await store.append(eventOf(record, { type: "session_created", at: Date.now() }), "");
    },
    async move(store, sessionId, type) {
      const transition: Transition = { type, at: Date.now() };
      const record = { ...known(sessionId), status: statusAfter[type], endedAt: Date.now() };
      records.set(sessionId, record);
      await store.append(eventOf(record, transition), "");
    },
    on: (store) => ({
      ...sessions,
      async createFromEvent(creation) {
        calls.push(`create ${creation.sessionId} of ${creation.selectedParties.join(" ")}`);
        if (records.has(creation.sessionId)) {
          throw new RouterError("SESSION_EXISTS", "session_id names a session");
        }
        const record = newRecord(creation.sessionId, creation.selectedParties);
        records.set(record.sessionId, record);
        const { eventId, contentHash, createdAt: at } = creation;
        const transition: Transition = { type: "session_created", at, eventId, contentHash };
        await store.append(eventOf(record, transition), contentHash);
      },
      async applyLifecycleEvent(sessionId, change) {
        calls.push(`${change.type} ${sessionId} ${change.eventId}`);
        if (isTerminal(known(sessionId).status)) {
          throw new RouterError("SESSION_COMPLETED", "the session has ended");
        }
        const { eventId, contentHash, at } = change;
        const transition = { ...change, word: "reported" } as Transition;
        const record = { ...known(sessionId), status: "failed", endedAt: at } as const;
        records.set(sessionId, record);
        await store.append({ ...eventOf(record, transition), eventId }, contentHash);
      },
    }),
  };
  return sessions;
}

function newRecord(sessionId: string, partyIds: readonly string[]): SessionRecord {
  const now = Date.now();
  const empty = new Uint8Array();
  return {
    sessionId,
    type: "keygen",
    status: "created",
    thresholdN: partyIds.length,
    thresholdT: 2,
    parties: partyIds.map((partyId, partyIndex) => ({
      partyId,
      partyIndex,
      role: "persistent",
      state: "selected",
      updatedAt: now,
    })),
    messageHash: empty,
    publicKey: empty,
    signature: empty,
    failureReason: "",
    keygenSessionId: "",
    delegateShare: { state: "none" },
    createdAt: now,
    expiresAt: now + 600_000,
    endedAt: 0,
    keyId: "",
    tokens: "derived",
    requestHash: "",
    transitions: [],
    publishedCount: 0,
  };
}

function secretsIn(sealed: Map<string, Uint8Array>): SecretStore {
  return {
    async put(kind, id, value) {
      sealed.set(`${kind}/${id}`, value);
    },
    get: async (kind, id) => sealed.get(`${kind}/${id}`),
    async erase(kind, id) {
      sealed.delete(`${kind}/${id}`);
    },
    ids: async () => [...sealed.keys()],
  };
}
