import type { Mailbox, MessageFacts } from "../domain/messages/message.ts";

/** Remembers which party is a recipient of which message, so that an acknowledgement needs no read. */
export interface FactsCache {
  set(box: Mailbox, messageId: string, facts: MessageFacts): void;
  get(box: Mailbox, messageId: string): MessageFacts | undefined;
}

/** About 6 MB; what is forgotten is read again from the store. */
const maxEntries = 20_000;

export function createFactsCache(): FactsCache {
  const known = new Map<string, MessageFacts>();
  const keyOf = (box: Mailbox, messageId: string): string =>
    `${box.sessionId}.${messageId}.${box.partyId}`;
  return {
    set(box, messageId, facts) {
      known.set(keyOf(box, messageId), facts);
      if (known.size <= maxEntries) return;
      const oldest = known.keys().next();
      if (oldest.done !== true) known.delete(oldest.value);
    },
    get: (box, messageId) => known.get(keyOf(box, messageId)),
  };
}
