import type { Message } from "../domain/messages/message.ts";

/** To encode and write more than this, in bytes, takes so long that others should be served before the next one. */
const largeBytes = 65_536;

/**
 * Gives the messages on. Large ones of all streams take turns, one in each turn of the event loop: a router may be asked
 * for many full mailboxes at once, and small messages of other parties must not wait for all of them.
 */
export type LargeMessagesInTurn = (messages: AsyncIterable<Message>) => AsyncIterable<Message>;

export function createLargeMessagesInTurn(): LargeMessagesInTurn {
  let last: Promise<void> = Promise.resolve();
  const turn = (): Promise<void> => {
    last = last.then(() => new Promise((resolve) => setImmediate(resolve)));
    return last;
  };
  return async function* inTurn(messages) {
    for await (const message of messages) {
      if (message.payload.length > largeBytes) await turn();
      yield message;
    }
  };
}
