import type { CreationClock } from "../../domain/messages/creation-clock.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { Nats } from "../connection.ts";
import type { FactsCache } from "./facts-cache.ts";
import type { MailboxNotes } from "./mailbox-notes.ts";
import type { Settler } from "./settler.ts";

export interface MailboxesOptions {
  readonly nats: Nats;
  readonly facts: FactsCache;
  readonly notes: MailboxNotes;
  readonly settler: Settler;
  readonly creationClock: CreationClock;
  readonly logger: Logger;
  readonly instanceId: string;
  /** Time after which an unacknowledged message is delivered again, in milliseconds. */
  readonly ackWaitMs: number;
  /** Messages held for one reader at most, in bytes; must exceed the largest message. */
  readonly bufferBytes: number;
}
