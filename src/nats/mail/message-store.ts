import type { CreationClock } from "../../domain/messages/creation-clock.ts";
import type { IdempotencyClaim, MessageStore } from "../../domain/messages/message-ports.ts";
import type { MessageTrace } from "../../domain/messages/message.ts";
import type { Nats } from "../connection.ts";
import { foldRecords, type ClaimBody } from "./delivery-codec.ts";
import { writeOnce } from "./delivery-log.ts";
import type { FactsCache } from "./facts-cache.ts";
import type { FanOut } from "./fan-out.ts";
import { decodeRecord } from "../json.ts";
import { decodeStored } from "./message-codec.ts";
import { createPollMarks } from "./poll-marks.ts";
import { pollMailbox } from "./polling.ts";
import { leaderMessage, leaderMessages, subjectsIn } from "../reading.ts";
import { streams, subjects } from "../subjects.ts";

export interface MessageStoreOptions {
  readonly nats: Nats;
  readonly fanOut: FanOut;
  readonly facts: FactsCache;
  readonly creationClock: CreationClock;
}

export function createMessageStore(options: MessageStoreOptions): MessageStore {
  const { nats, fanOut } = options;
  const marks = createPollMarks(nats);
  return {
    append: (message) => fanOut.append(message),
    complete: (message) => fanOut.complete(message),
    claim: (claim) => claimId(nats, claim),
    claimOn: (sessionId, messageId) => claimOn(nats, sessionId, messageId),
    trace: (sessionId, messageId) => trace(nats, sessionId, messageId),
    pending: (box, query) => pollMailbox({ ...options, marks }, box, query),
    onArrival(box, listener) {
      const ring = (): void => listener();
      const subscription = nats.nc.subscribe(subjects.mailbox(box), { callback: ring });
      // What came while the connection was cut was not heard.
      const offReconnect = nats.onReconnect(ring);
      return () => {
        offReconnect();
        subscription.unsubscribe();
      };
    },
  };
}

async function claimId(nats: Nats, claim: IdempotencyClaim): Promise<"claimed" | IdempotencyClaim> {
  const { sessionId, messageId, contentHash, facts } = claim;
  const subject = subjects.idempotency(sessionId, messageId);
  if (await writeOnce(nats, subject, { contentHash, facts })) return "claimed";
  // Where it has just been forgotten with its session, the copies of this call are the first.
  return (await claimOn(nats, sessionId, messageId)) ?? "claimed";
}

async function claimOn(
  nats: Nats,
  sessionId: string,
  messageId: string,
): Promise<IdempotencyClaim | undefined> {
  const subject = subjects.idempotency(sessionId, messageId);
  const held = await leaderMessage(nats, streams.deliveries, subject);
  return held && { sessionId, messageId, ...decodeRecord<ClaimBody>(held.data) };
}

async function trace(
  nats: Nats,
  sessionId: string,
  messageId: string,
): Promise<MessageTrace | undefined> {
  const records = await leaderMessages(
    nats,
    streams.deliveries,
    subjects.deliveriesOf(sessionId, messageId),
  );
  const folded = foldRecords(records);
  if (folded !== undefined) return { facts: folded.facts, records: folded.byParty };
  const [copy] = await subjectsIn(nats, streams.messages, subjects.copiesOf(sessionId, messageId));
  if (copy === undefined) return undefined;
  const stored = await leaderMessage(nats, streams.messages, copy);
  return stored && { facts: decodeStored(stored).facts, records: new Map() };
}
