import type { StoredMsg } from "@nats-io/jetstream";
import { headers, type MsgHdrs } from "@nats-io/transport-node";
import type { Pulled } from "./pulled.ts";
import type { Message, MessageFacts, OutgoingMessage } from "../../domain/messages/message.ts";
import { parseMessageSubject } from "../subjects.ts";

/** A copy is the payload as it came; everything else of the message is one JSON header. */
const factsHeader = "Mpc-Message";

interface CopyHeader {
  readonly from: string;
  readonly to: readonly number[];
  readonly broadcast: boolean;
  readonly round: number;
  readonly type: string;
  readonly createdAt: number;
  readonly keepUntil: number;
}

export function copyHeaders(message: OutgoingMessage): MsgHdrs {
  const header: CopyHeader = {
    from: message.fromParty,
    to: message.recipients.map(({ position }) => position),
    broadcast: message.isBroadcast,
    round: message.roundNumber,
    type: message.messageType,
    createdAt: message.createdAt,
    keepUntil: message.keepUntil,
  };
  const result = headers();
  result.set(factsHeader, JSON.stringify(header));
  return result;
}

interface Copy {
  readonly message: Message;
  readonly facts: MessageFacts;
}

/** Reads a copy back, from a consumer or from the store. */
export function decodeCopy(
  subject: string,
  copyHeader: MsgHdrs | undefined,
  payload: Uint8Array,
): Copy {
  const { sessionId, messageId } = parseMessageSubject(subject);
  const header = JSON.parse(copyHeader?.get(factsHeader) ?? "{}") as CopyHeader;
  return {
    message: {
      messageId,
      sessionId,
      fromParty: header.from,
      isBroadcast: header.broadcast,
      roundNumber: header.round,
      messageType: header.type,
      payload,
      createdAt: header.createdAt,
    },
    facts: {
      fromParty: header.from,
      toPositions: header.to,
      createdAt: header.createdAt,
      keepUntil: header.keepUntil,
    },
  };
}

export function decodeStored(stored: StoredMsg): Copy {
  return decodeCopy(stored.subject, stored.header, stored.data);
}

export function decodePulled(pulled: Pulled): Copy {
  return decodeCopy(pulled.subject, pulled.headers, pulled.data);
}
