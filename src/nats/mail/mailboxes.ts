import type { Mailboxes, OpenMailbox } from "../../domain/messages/message-ports.ts";
import type { Mailbox, Message } from "../../domain/messages/message.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { openMailboxConsumer } from "./mailbox-consumer.ts";
import type { MailboxesOptions } from "./mailboxes-options.ts";
import { MailboxStream } from "./mailbox-stream.ts";
import { createOwners, type Owners } from "./owners.ts";

/** How often open streams are checked for silence, and this process for having stood still, in milliseconds. */
const pulseMs = 500;
const stallMs = 1_000;

/** All open message streams of this instance, and what makes sure that none sits silent on a dead consumer. */
export function createMailboxes(options: MailboxesOptions): Mailboxes & AsyncDisposable {
  const { nats, notes } = options;
  const owners = createOwners(nats, options.instanceId);
  const open = new Map<string, MailboxStream>();
  const stopping = new AbortController();
  const doubtAll = (): void => {
    for (const stream of open.values()) stream.doubt();
  };
  const offReconnect = nats.onReconnect(doubtAll);
  const timer = watchPulse(open, doubtAll);
  const watching = watchOwners(owners, open, { ...options, signal: stopping.signal });

  return {
    async open(box, how) {
      const consumer = await openMailboxConsumer({
        ...options,
        owners,
        box,
        keepUntil: how.keepUntil,
        signal: how.signal,
      });
      notes.send(box, { kind: "owner", epoch: consumer.epoch() });
      const key = keyOf(box);
      const stream = new MailboxStream({ ...options, box, open: how, consumer });
      const other = open.get(key);
      other?.onOwner(stream.epoch());
      if (other !== undefined && other.epoch() > stream.epoch()) stream.onOwner(other.epoch());
      else open.set(key, stream);
      const off = notes.listen(box, (note) => stream.onNote(note));
      const close = (): void => {
        off();
        if (open.get(key) === stream) open.delete(key);
        void stream[Symbol.asyncDispose]();
      };
      how.signal.addEventListener("abort", close, { once: true });
      try {
        // What is heard of a newer stream before this one was there to hear it.
        if (!(await owners.isNewest(box, stream.epoch()))) stream.onOwner(Infinity);
      } catch (error) {
        close();
        throw error;
      }
      if (how.signal.aborted) close();
      return closing(stream, how, close);
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      clearInterval(timer);
      offReconnect();
      await Promise.all([...open.values()].map((stream) => stream[Symbol.asyncDispose]()));
      await watching;
    },
  };
}

async function* closing(
  stream: MailboxStream,
  { signal }: OpenMailbox,
  close: () => void,
): AsyncGenerator<Message> {
  try {
    yield* stream.messages();
  } finally {
    signal.removeEventListener("abort", close);
    close();
  }
}

/** A paused process finds itself late: others may have acted for it meanwhile. */
function watchPulse(open: Map<string, MailboxStream>, doubtAll: () => void): NodeJS.Timeout {
  let last = performance.now();
  return setInterval(() => {
    const lateMs = performance.now() - last - pulseMs;
    last = performance.now();
    if (lateMs > stallMs) doubtAll();
    else for (const stream of open.values()) stream.checkPulse();
  }, pulseMs);
}

interface OwnerWatch {
  readonly signal: AbortSignal;
  readonly logger: Logger;
  readonly instanceId: string;
}

/** The note of a takeover may be lost; the record of it is not. */
async function watchOwners(
  owners: Owners,
  open: Map<string, MailboxStream>,
  { signal, logger, instanceId }: OwnerWatch,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const { box, epoch, instanceId: owner } of owners.watch(signal)) {
        // Of its own streams this instance knows without being told.
        const stream = owner === instanceId ? undefined : open.get(keyOf(box));
        stream?.onOwner(epoch);
      }
    } catch (error) {
      logger.warn({ err: error }, "watching the owners of mailboxes failed; trying again");
      await new Promise((resolve) => setTimeout(resolve, pulseMs));
    }
  }
}

function keyOf(box: Mailbox): string {
  return `${box.partyId}.${box.sessionId}`;
}
