import type { MPCMessage } from "../../gen/mpc/router/v1/message_router_pb.js";

/** More than any ceremony needs; what does not fit stays unacknowledged at the router and comes again. */
const maxMessages = 1_000;

/** What a party received in one session, by message type and sender; later rounds may be there before earlier ones. */
export class Mailbox {
  readonly #ids = new Set<string>();
  readonly #messages = new Map<string, MPCMessage>();
  #arrived = Promise.withResolvers<void>();
  #duplicates = 0;

  get duplicates(): number {
    return this.#duplicates;
  }

  /** Says whether the message is new; a redelivered one has the same id. */
  put(message: MPCMessage): boolean {
    if (this.#ids.has(message.messageId)) {
      this.#duplicates++;
      return false;
    }
    if (this.#ids.size >= maxMessages) return false;
    this.#ids.add(message.messageId);
    const key = keyOf(message.messageType, message.fromParty);
    // One message of a type a sender: the first is the one that was answered to, whatever follows.
    if (!this.#messages.has(key)) this.#messages.set(key, message);
    this.#arrived.resolve();
    this.#arrived = Promise.withResolvers();
    return true;
  }

  /** Which of the senders have not sent that type yet. */
  missing(type: string, senders: readonly string[]): readonly string[] {
    return senders.filter((sender) => !this.#messages.has(keyOf(type, sender)));
  }

  /** Resolves when a new message is put. */
  async arrival(): Promise<void> {
    await this.#arrived.promise;
  }

  /** The messages of a type, in the order of the senders, all of which have sent one. */
  read(type: string, senders: readonly string[]): readonly MPCMessage[] {
    return senders.map((sender) => {
      const message = this.#messages.get(keyOf(type, sender));
      if (message === undefined) throw new Error(`${sender} has not sent ${type}`);
      return message;
    });
  }
}

function keyOf(type: string, sender: string): string {
  return `${type} ${sender}`;
}
