import type { Mailbox } from "../../domain/messages/message.ts";

/** A record must be this old before its copy goes, in milliseconds: the newest records of an async stream can be lost. */
const minRecordAgeMs = 1_000;
/** Taken at a time, of copies and of messages. */
const copiesAtOnce = 64;
const messagesAtOnce = 32;
/** Beyond this the sweep finds what is left. */
const maxQueued = 200_000;

/** A settled copy, which is to go. */
interface Due {
  readonly box: Mailbox;
  readonly messageId: string;
  /** When its record is old enough, as `performance.now()` has it. */
  readonly dueAt: number;
}

/** By {@link messageKey}. */
export type DueByMessage = ReadonlyMap<string, readonly Due[]>;

/** Settled copies, oldest first, each once. */
export interface DueQueue {
  add(box: Mailbox, messageId: string): void;
  /** Takes what is due, of a few messages; empty when nothing is. */
  take(): DueByMessage;
  size(): number;
  clear(): void;
}

export function createDueQueue(): DueQueue {
  // The map keeps the order of insertion.
  const queue = new Map<string, Due>();
  return {
    add(box, messageId) {
      const key = `${messageKey(box, messageId)}.${box.partyId}`;
      if (queue.has(key) || queue.size >= maxQueued) return;
      queue.set(key, { box, messageId, dueAt: performance.now() + minRecordAgeMs });
    },
    take() {
      const taken = new Map<string, Due[]>();
      let count = 0;
      for (const [key, due] of queue) {
        if (due.dueAt > performance.now() || count === copiesAtOnce) break;
        const message = messageKey(due.box, due.messageId);
        const others = taken.get(message) ?? [];
        if (others.length === 0 && taken.size === messagesAtOnce) break;
        taken.set(message, [...others, due]);
        queue.delete(key);
        count += 1;
      }
      return taken;
    },
    size: () => queue.size,
    clear: () => queue.clear(),
  };
}

export function messageKey({ sessionId }: Mailbox, messageId: string): string {
  return `${sessionId}.${messageId}`;
}
