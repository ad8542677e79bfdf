import type { Mailbox } from "../../domain/messages/message.ts";
import type { Nats } from "../connection.ts";
import { decodeRecord, encodeRecord } from "../json.ts";
import { subjects } from "../subjects.ts";

/**
 * What instances tell whichever of them holds a mailbox's stream. Notes only save time: a lost one costs one ack wait,
 * since the records are what counts.
 */
export type MailboxNote =
  | { readonly kind: "settled"; readonly messageId: string }
  | { readonly kind: "refused"; readonly messageId: string; readonly redeliverAfterMs: number }
  /** A newer stream took the mailbox over. */
  | { readonly kind: "owner"; readonly epoch: number };

export interface MailboxNotes {
  send(box: Mailbox, note: MailboxNote): void;
  /** Returns the way to stop. */
  listen(box: Mailbox, listener: (note: MailboxNote) => void): () => void;
}

export function createMailboxNotes(nats: Nats): MailboxNotes {
  return {
    send(box, note) {
      if (!nats.nc.isClosed()) nats.nc.publish(subjects.mailboxNotes(box), encodeRecord(note));
    },
    listen(box, listener) {
      const subscription = nats.nc.subscribe(subjects.mailboxNotes(box), {
        callback: (error, message) => {
          if (error === null) listener(decodeRecord<MailboxNote>(message.data));
        },
      });
      return () => subscription.unsubscribe();
    },
  };
}
