import type { Mailboxes, OpenMailbox } from "../../domain/messages/message-ports.ts";
import type { Mailbox, Message } from "../../domain/messages/message.ts";
import { watchConsumers } from "./consumer-watch.ts";
import { openMailboxConsumer } from "./mailbox-consumer.ts";
import type { MailboxesOptions } from "./mailboxes-options.ts";
import { MailboxStream } from "./mailbox-stream.ts";
import { createOwners } from "./owners.ts";
import { createTurns } from "./turns.ts";

/** How often open streams are checked for silence, and this process for having stood still, in milliseconds. */
const pulseMs = 500;
const stallMs = 1_000;
/**
 * Streams that are opened, and streams that are put right, at once: after the loss of a server there may be thousands of
 * both, and what is left of a busy cluster makes a few hundred consumers a second. More at once would time out, and be
 * made again, all together.
 */
const maxOpeningAtOnce = 32;
const maxRecoveringAtOnce = 16;

/** All open message streams of this instance, and what makes sure that none sits silent on a dead consumer. */
export function createMailboxes(options: MailboxesOptions): Mailboxes & AsyncDisposable {
  const { nats, notes } = options;
  const owners = createOwners(nats, options.instanceId);
  const open = new Map<string, MailboxStream>();
  const stopping = new AbortController();
  const watch = watchConsumers(nats, options);
  const [openTurns, turns] = [createTurns(maxOpeningAtOnce), createTurns(maxRecoveringAtOnce)];
  const doubtAll = (): void => {
    for (const stream of open.values()) stream.doubt();
    watch.look();
  };
  const offReconnect = nats.onReconnect(doubtAll);
  const timer = watchPulse(open, doubtAll);
  const watching = owners.watch({
    signal: stopping.signal,
    logger: options.logger,
    // Streams that were opened before may have lost their mailbox unheard.
    onStart: doubtAll,
    onTakeover: ({ box, epoch, instanceId }) => {
      // Of its own streams this instance knows without being told.
      if (instanceId !== options.instanceId) open.get(keyOf(box))?.onTaken(epoch);
    },
  });

  return {
    async open(box, how) {
      const consumer = await openMailboxConsumer({
        ...options,
        owners,
        watch,
        openTurns,
        turns,
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
        stream[Symbol.dispose]();
      };
      how.signal.addEventListener("abort", close, { once: true });
      try {
        // What is heard of a newer stream before this one was there to hear it.
        if (!(await owners.isNewest(box, stream.epoch()))) stream.onOwner(Infinity);
      } catch {
        // It has taken the mailbox, so it is given up by its reader alone: it looks when the broker answers again.
        stream.doubt();
      }
      if (how.signal.aborted) close();
      return closing(stream, how, close);
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      clearInterval(timer);
      offReconnect();
      watch[Symbol.dispose]();
      for (const stream of open.values()) stream[Symbol.dispose]();
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

function keyOf(box: Mailbox): string {
  return `${box.partyId}.${box.sessionId}`;
}
