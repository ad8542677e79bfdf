import type {
  IdempotencyClaim,
  MessageStore,
} from "../../../../src/domain/messages/message-ports.ts";
import type { Message, OutgoingMessage } from "../../../../src/domain/messages/message.ts";
import type { SessionStore } from "../../../../src/domain/sessions/session-ports.ts";
import type { SessionRecord } from "../../../../src/domain/sessions/session.ts";

/** A message store in memory, as far as a rule needs one. */
export interface FakeStore extends MessageStore {
  readonly stored: OutgoingMessage[];
  /** Claims as another instance made them, by message id. */
  readonly claims: Map<string, IdempotencyClaim>;
  /** What polls find. */
  pendingMessages: readonly Message[];
  reads: number;
  /** Calls those who listen for arrivals. */
  arrive(): void;
  readonly listeners: Set<() => void>;
}

export function createFakeStore(): FakeStore {
  const listeners = new Set<() => void>();
  const store: FakeStore = {
    stored: [],
    claims: new Map(),
    pendingMessages: [],
    reads: 0,
    listeners,
    arrive: () => listeners.forEach((listener) => listener()),
    append: async (message) => void store.stored.push(message),
    complete: async (message) => void store.stored.push(message),
    async claim(claim) {
      const held = store.claims.get(claim.messageId);
      if (held === undefined) store.claims.set(claim.messageId, claim);
      return held ?? "claimed";
    },
    claimOn: async (_sessionId, messageId) => store.claims.get(messageId),
    trace: async () => undefined,
    async pending() {
      store.reads += 1;
      return store.pendingMessages;
    },
    onArrival(_box, listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
  return store;
}

/** Holds this one session. */
export function sessionsOf(record: SessionRecord): SessionStore {
  return {
    cached: () => ({ record, revision: 1 }),
    onChange: () => () => undefined,
  } as unknown as SessionStore;
}
