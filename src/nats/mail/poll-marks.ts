import { BoundedMap } from "../../domain/bounded-map.ts";
import type { Mailbox } from "../../domain/messages/message.ts";
import type { Nats } from "../connection.ts";

/** Up to a place in the message stream, nothing in the mailbox is newer than a time. */
interface Mark {
  readonly sequence: number;
  /** Unix milliseconds. */
  readonly newestAt: number;
}

/** Remembers what a party that polls by time, without acknowledging, need not have read for it again. */
export interface PollMarks {
  /** Where a poll for messages created after this begins to read. */
  firstSequence(box: Mailbox, createdAfter: number): number;
  /** From there up to `sequence`, nothing is newer than `newestAt`. */
  pass(box: Mailbox, mark: Mark): void;
}

/** Mailboxes remembered at once; of others all is read. */
const maxMarks = 20_000;

export function createPollMarks(nats: Nats): PollMarks {
  const marks = new BoundedMap<string, Mark>(maxMarks);
  // A server that was killed may have lost what it had not synced, and gives the places to other messages.
  nats.onReconnect(() => marks.clear());
  return {
    firstSequence(box, createdAfter) {
      const mark = marks.get(keyOf(box));
      return mark !== undefined && mark.newestAt <= createdAfter ? mark.sequence + 1 : 1;
    },
    pass(box, { sequence, newestAt }) {
      const before = marks.get(keyOf(box))?.newestAt ?? 0;
      marks.set(keyOf(box), { sequence, newestAt: Math.max(before, newestAt) });
    },
  };
}

function keyOf({ partyId, sessionId }: Mailbox): string {
  return `${partyId}.${sessionId}`;
}
