/** One party's mail in one session. */
export interface Mailbox {
  readonly partyId: string;
  readonly sessionId: string;
}

/** A routed message: the same for every recipient. */
export interface Message {
  /** 32 hexadecimal digits. */
  readonly messageId: string;
  readonly sessionId: string;
  readonly fromParty: string;
  readonly isBroadcast: boolean;
  readonly roundNumber: number;
  readonly messageType: string;
  readonly payload: Uint8Array;
  /** Unix milliseconds, one value for all recipients. */
  readonly createdAt: number;
}

/** A seat of the roster that a message goes to; `position` is its place in `selected_parties`. */
export interface Recipient {
  readonly partyId: string;
  readonly position: number;
}

/** A message on its way into the store. */
export interface OutgoingMessage extends Message {
  readonly recipients: readonly Recipient[];
  /** Unix milliseconds after which the store may forget it. */
  readonly keepUntil: number;
}

/** What every copy and every record of a message says of it: enough to answer for it when the copies are gone. */
export interface MessageFacts {
  readonly fromParty: string;
  /** Places of the recipients in `selected_parties`. */
  readonly toPositions: readonly number[];
  /** Unix milliseconds. */
  readonly createdAt: number;
  /** Unix milliseconds after which nothing of it needs to be kept. */
  readonly keepUntil: number;
}

/** What is recorded of one message at one recipient. Records only add up: no two instances can contradict each other. */
export interface DeliveryRecords {
  /** Absent: never given out. */
  readonly delivered?: DeliveredRecord;
  /** Unix milliseconds of the acknowledgement. */
  readonly acknowledgedAt?: number;
  readonly failed?: { readonly at: number; readonly error: string };
  /** Refused deliveries so far. */
  readonly refusalCount: number;
  /** Place of the newest refusal among the records, to be compared with that of the delivery; 0 when none. */
  readonly refusalSequence: number;
}

export interface DeliveredRecord {
  /** Unix milliseconds of the first delivery. */
  readonly firstAt: number;
  /** Unix milliseconds of the latest. */
  readonly lastAt: number;
  /** Deliveries so far. */
  readonly count: number;
  /** Where the copy lies in the message store. */
  readonly copySequence: number;
  /** Place among the records. */
  readonly sequence: number;
}

/** All that is known of a message: what is recorded, and who still has a copy. */
export interface MessageTrace {
  readonly facts: MessageFacts;
  /** By party id; a recipient without an entry has no record. */
  readonly records: ReadonlyMap<string, DeliveryRecords>;
}

export const noRecords: DeliveryRecords = { refusalCount: 0, refusalSequence: 0 };
