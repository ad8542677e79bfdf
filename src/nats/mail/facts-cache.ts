import { BoundedMap } from "../../domain/bounded-map.ts";
import type { Mailbox, MessageFacts } from "../../domain/messages/message.ts";

/** Remembers which party is a recipient of which message, so that an acknowledgement needs no read. */
export interface FactsCache {
  set(box: Mailbox, messageId: string, facts: MessageFacts): void;
  get(box: Mailbox, messageId: string): MessageFacts | undefined;
}

/** About 6 MB; what is forgotten is read again from the store. */
const maxEntries = 20_000;

export function createFactsCache(): FactsCache {
  const known = new BoundedMap<string, MessageFacts>(maxEntries);
  return {
    set: (box, messageId, facts) => void known.set(keyOf(box, messageId), facts),
    get: (box, messageId) => known.get(keyOf(box, messageId)),
  };
}

function keyOf(box: Mailbox, messageId: string): string {
  return `${box.sessionId}.${messageId}.${box.partyId}`;
}
