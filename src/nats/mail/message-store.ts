import { storeFull } from "../../domain/errors.ts";
import type { CreationClock } from "../../domain/messages/creation-clock.ts";
import type { IdempotencyClaim, MessageStore } from "../../domain/messages/message-ports.ts";
import type { MessageTrace } from "../../domain/messages/message.ts";
import type { Nats } from "../connection.ts";
import type { ClaimBody } from "./delivery-codec.ts";
import { writeOnce } from "./delivery-log.ts";
import { readDeliveries } from "./delivery-summary.ts";
import type { FactsCache } from "./facts-cache.ts";
import type { FanOut } from "./fan-out.ts";
import { decodeRecord } from "../json.ts";
import { decodeStored } from "./message-codec.ts";
import { createPollMarks } from "./poll-marks.ts";
import { pollMailbox } from "./polling.ts";
import { leaderMessage, subjectsIn } from "../reading.ts";
import type { StoreRoom } from "../store-room.ts";
import { streams, subjects } from "../subjects.ts";

export interface MessageStoreOptions {
  readonly nats: Nats;
  readonly fanOut: FanOut;
  readonly facts: FactsCache;
  readonly creationClock: CreationClock;
  readonly room: StoreRoom;
}

export function createMessageStore(options: MessageStoreOptions): MessageStore {
  const { nats, fanOut, room } = options;
  const marks = createPollMarks(nats);
  return {
    append: (message) => fanOut.append(message),
    complete: (message) => fanOut.complete(message),
    async claim(claim) {
      if (!room.isFull()) return claimId(nats, claim);
      // What was taken once is no more mail.
      const held = await claimOn(nats, claim.sessionId, claim.messageId);
      if (held === undefined) throw storeFull();
      return held;
    },
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
  const record = { subject, body: { contentHash, facts }, endsWhenFull: true };
  if (await writeOnce(nats, record)) return "claimed";
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
  const filter = subjects.deliveriesOf(sessionId, messageId);
  const folded = (await readDeliveries(nats, sessionId, [filter])).get(messageId);
  if (folded !== undefined) return { facts: folded.facts, records: folded.byParty };
  const [copy] = await subjectsIn(nats, streams.messages, subjects.copiesOf(sessionId, messageId));
  if (copy === undefined) return undefined;
  const stored = await leaderMessage(nats, streams.messages, copy);
  return stored && { facts: decodeStored(stored).facts, records: new Map() };
}
