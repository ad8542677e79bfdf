import { randomUUID } from "node:crypto";
import { createCreationClock } from "../../../src/domain/messages/creation-clock.ts";
import type { OpenMailbox } from "../../../src/domain/messages/message-ports.ts";
import type { Mailbox, Message, OutgoingMessage } from "../../../src/domain/messages/message.ts";
import { connectNats, type Nats } from "../../../src/nats/connection.ts";
import { openMail, type Mail } from "../../../src/nats/mail/mail.ts";
import { copyHeaders } from "../../../src/nats/mail/message-codec.ts";
import type { SessionEnds } from "../../../src/nats/session-ends.ts";
import type { SettledCopy } from "../../../src/nats/mail/settler.ts";
import { provision } from "../../../src/nats/provisioning.ts";
import { subjectsIn } from "../../../src/nats/reading.ts";
import type { StoreRoom } from "../../../src/nats/store-room.ts";
import { streams, subjects, type DeliveryState } from "../../../src/nats/subjects.ts";
import { encodeRecord } from "../../../src/nats/json.ts";
import { factsOf } from "../../../src/domain/messages/routing.ts";
import { silentLogger } from "../../../src/telemetry/logger.ts";
import { startNatsServer, type NatsTestServer } from "../../support/nats-server.ts";
import { read, type Reader } from "../../support/sessions.ts";

/** The roster of every session of a mail room. */
export const roster = ["a", "b", "c", "d"] as const;

export interface MailInstanceOptions {
  readonly ackWaitMs?: number;
  readonly maxPayloadBytes?: number;
  readonly mailboxMaxMessages?: number;
  readonly mailboxMaxBytes?: number;
  readonly room?: StoreRoom;
  /** Puts something between the mail and its connection, to lose or delay what goes over it. */
  readonly over?: (nats: Nats) => Nats;
  readonly ends?: SessionEnds;
  readonly tellFailure?: (copy: SettledCopy) => Promise<void>;
}

const unlimitedRoom: StoreRoom = {
  isFull: () => false,
  take: () => true,
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

/** Sessions that live on. */
const noEnds: SessionEnds = {
  mayHaveEnded: () => false,
  all: () => [],
  onEnd: () => () => undefined,
};

/** The mail of one router, without its server and its sessions. */
export interface MailInstance extends AsyncDisposable {
  readonly instanceId: string;
  readonly nats: Nats;
  readonly mail: Mail;
  /** Opens the stream of a mailbox and reads it in the background. */
  subscribe(box: Mailbox, how?: Partial<OpenMailbox>): Promise<Reader<Message>>;
}

/** Several instances of the message rooms on one NATS. */
export interface MailRoom extends AsyncDisposable {
  readonly server: NatsTestServer;
  /** A connection of the test, past all instances. */
  readonly nats: Nats;
  /** One more instance; gone with the room, or when the test disposes it. */
  open(options?: MailInstanceOptions): Promise<MailInstance>;
}

export async function openMailRoom(): Promise<MailRoom> {
  await using resources = new AsyncDisposableStack();
  const server = resources.use(await startNatsServer());
  const nats = resources.use(await connect(server));
  await provision(nats);
  const held = resources.move();
  return {
    server,
    nats,
    open: async (options = {}) => held.use(await openInstance(server, options)),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

async function openInstance(
  server: NatsTestServer,
  options: MailInstanceOptions,
): Promise<MailInstance> {
  await using resources = new AsyncDisposableStack();
  const connection = resources.use(await connect(server));
  const nats = options.over?.(connection) ?? connection;
  const instanceId = randomUUID().slice(0, 8);
  const mail = resources.use(
    openMail({
      ackWaitMs: 30_000,
      maxPayloadBytes: 1_048_576,
      mailboxMaxMessages: 10_000,
      mailboxMaxBytes: 268_435_456,
      room: unlimitedRoom,
      tellFailure: () => Promise.resolve(),
      ends: noEnds,
      ...options,
      nats,
      instanceId,
      logger: silentLogger,
      creationClock: createCreationClock(),
      roster: () => Promise.resolve(roster),
    }),
  );
  const held = resources.move();
  return {
    instanceId,
    nats,
    mail,
    subscribe: (box, how) => openReader(mail, box, how),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

async function openReader(
  mail: Mail,
  box: Mailbox,
  how: Partial<OpenMailbox> = {},
): Promise<Reader<Message>> {
  const leaving = new AbortController();
  const messages = await mail.mailboxes.open(box, {
    keepUntil: Date.now() + 3_600_000,
    ended: new AbortController().signal,
    signal: leaving.signal,
    ...how,
  });
  return read((signal) => {
    signal.addEventListener("abort", () => leaving.abort(), { once: true });
    return messages;
  });
}

export function connect(server: { readonly url: string }): Promise<Nats> {
  return connectNats({
    url: server.url,
    name: "test",
    connectTimeoutMs: 5_000,
    logger: silentLogger,
    clock: { nowMs: () => Date.now() },
  });
}

/** A mailbox of a session of its own. */
export function mailboxOf(partyId: string, sessionId: string = randomUUID()): Mailbox {
  return { partyId, sessionId };
}

/** A message from `a` to these parties, with an id of its own. */
export function messageTo(
  sessionId: string,
  to: readonly string[],
  more: Partial<OutgoingMessage> = {},
): OutgoingMessage {
  return {
    messageId: randomUUID().replaceAll("-", ""),
    sessionId,
    fromParty: "a",
    isBroadcast: to.length === roster.length - 1,
    roundNumber: 1,
    messageType: "round-1",
    payload: new Uint8Array([1, 2, 3]),
    createdAt: Date.now(),
    recipients: to.map((partyId) => ({
      partyId,
      position: roster.findIndex((known) => known === partyId),
    })),
    keepUntil: Date.now() + 3_600_000,
    ...more,
  };
}

/** Stores a copy as an instance would have, that died before it could do more. */
export async function leaveCopy(
  nats: Nats,
  message: OutgoingMessage,
  partyId: string,
): Promise<number> {
  const box = { partyId, sessionId: message.sessionId };
  const ack = await nats.js.publish(subjects.message(box, message.messageId), message.payload, {
    headers: copyHeaders(message),
    msgID: `${message.messageId}.${partyId}`,
  });
  return ack.seq;
}

/** Stores a record as an instance would have, that died before it could do more. */
export async function leaveRecord(
  nats: Nats,
  message: OutgoingMessage,
  at: { readonly partyId: string; readonly state: DeliveryState },
): Promise<void> {
  const box = { partyId: at.partyId, sessionId: message.sessionId };
  const body = { at: Date.now(), facts: factsOf(message) };
  await nats.js.publish(subjects.delivery(box, message.messageId, at.state), encodeRecord(body));
}

/** Ids of the messages whose copies lie in a mailbox, settled or not. */
export async function copiesIn(nats: Nats, box: Mailbox): Promise<readonly string[]> {
  const found = await subjectsIn(nats, streams.messages, subjects.mailbox(box));
  return found.map((subject) => subject.split(".").at(-1) ?? "");
}

/** Parties that have a copy of the message. */
export async function holdersOf(nats: Nats, message: OutgoingMessage): Promise<readonly string[]> {
  const filter = subjects.copiesOf(message.sessionId, message.messageId);
  const found = await subjectsIn(nats, streams.messages, filter);
  return found.map((subject) => subject.split(".")[2] ?? "").toSorted();
}

/** Acknowledges as the domain does. */
export async function acknowledge(
  { mail }: MailInstance,
  box: Mailbox,
  messageId: string,
): Promise<boolean> {
  const known = await mail.log.glance(box, messageId);
  if (known === undefined) throw new Error(`no message ${messageId} for ${box.partyId}`);
  return mail.log.acknowledge({ box, messageId, facts: known.facts }, Date.now());
}

/** A connection that loses the notes which instances send each other. */
export function withoutNotes(nats: Nats): Nats {
  const nc = Object.create(nats.nc) as Nats["nc"];
  nc.publish = (...call) => {
    if (!call[0].startsWith("mpc.ctl.")) nats.nc.publish(...call);
  };
  return { ...nats, nc };
}
