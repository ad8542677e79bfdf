import type { ReceivedMessage } from "../../src/party/index.ts";

/** What a party received in one session, by message type and sender; later rounds may be there before earlier ones. */
export class Mailbox {
  readonly #messages = new Map<string, ReceivedMessage>();
  #arrived = Promise.withResolvers<void>();

  put(message: ReceivedMessage): void {
    const key = keyOf(message.type, message.from);
    // One message of a type a sender: the first is the one that was answered to, whatever follows.
    if (!this.#messages.has(key)) this.#messages.set(key, message);
    this.#arrived.resolve();
    this.#arrived = Promise.withResolvers();
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
  read(type: string, senders: readonly string[]): readonly ReceivedMessage[] {
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
