import type { CreationClock } from "../../domain/messages/creation-clock.ts";
import type {
  DeliveryLog,
  Mailboxes,
  MailboxMeter,
  MessageStore,
} from "../../domain/messages/message-ports.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { Nats } from "../connection.ts";
import type { AftercareStep } from "../aftercare.ts";
import type { SessionEnds } from "../session-ends.ts";
import type { StoreRoom } from "../store-room.ts";
import { createDeliveryLog } from "./delivery-log.ts";
import { createFactsCache } from "./facts-cache.ts";
import { createFanOut } from "./fan-out.ts";
import { foldRecordsOf } from "./folding.ts";
import { createMailboxMeter } from "./mailbox-meter.ts";
import { createMailboxNotes } from "./mailbox-notes.ts";
import { createMailboxes } from "./mailboxes.ts";
import { createMessageStore } from "./message-store.ts";
import { createSettler, type SettledCopy } from "./settler.ts";
import { startSweep } from "./sweep.ts";

/** The ports of the message rules, all on one connection. */
export interface Mail extends AsyncDisposable {
  readonly store: MessageStore;
  readonly log: DeliveryLog;
  readonly meter: MailboxMeter;
  readonly mailboxes: Mailboxes;
  /** For sessions that have ended: makes their delivery records one. */
  readonly fold: AftercareStep;
}

export interface MailOptions {
  readonly nats: Nats;
  readonly logger: Logger;
  readonly instanceId: string;
  readonly creationClock: CreationClock;
  readonly ackWaitMs: number;
  readonly maxPayloadBytes: number;
  readonly mailboxMaxMessages: number;
  readonly mailboxMaxBytes: number;
  readonly room: StoreRoom;
  /** Party ids of a session in roster order; `undefined` when the session is not known any more. */
  readonly roster: (sessionId: string) => Promise<readonly string[] | undefined>;
  readonly ends: Pick<SessionEnds, "mayHaveEnded">;
  /** Makes sure that the sender has been told, before a copy that failed for good is deleted. */
  readonly tellFailure: (copy: SettledCopy) => Promise<void>;
}

/** Beside the largest message, this much is held for a reader, in bytes. */
const bufferBytes = 2_097_152;
const headerBytes = 65_536;

export function openMail(options: MailOptions): Mail {
  const { nats, roster } = options;
  const resources = new AsyncDisposableStack();
  const facts = createFactsCache();
  const notes = createMailboxNotes(nats);
  const fanOut = resources.use(createFanOut({ ...options, facts, roster }));
  const settler = resources.use(
    createSettler({
      ...options,
      prepare: async (copy) => {
        await fanOut.repair({ ...copy, sessionId: copy.box.sessionId });
        if (copy.records.failed !== undefined) await options.tellFailure(copy);
      },
    }),
  );
  resources.use(startSweep({ ...options, fanOut, settler }));
  const shared = { ...options, facts, notes, settler, fanOut };
  const mailboxes = resources.use(
    createMailboxes({
      ...shared,
      bufferBytes: Math.max(bufferBytes, options.maxPayloadBytes + headerBytes),
    }),
  );
  return {
    store: createMessageStore(shared),
    log: createDeliveryLog(shared),
    meter: createMailboxMeter({
      nats,
      maxMessages: options.mailboxMaxMessages,
      maxBytes: options.mailboxMaxBytes,
    }),
    mailboxes,
    fold: ({ sessionId }) => foldRecordsOf({ nats, settler }, sessionId),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}
