import type { ReceivedMessage, SealedSession } from "../../src/party/index.ts";
import { Mailbox } from "./mailbox.ts";
import type { FromParty } from "./party-messages.ts";

/** A party's messages of one session: received at any time, taken by round, and acknowledged after use. */
export class SessionMail implements AsyncDisposable {
  readonly #session: SealedSession;
  readonly #tell: (news: FromParty) => void;
  readonly #mailbox = new Mailbox();
  readonly #stop = new AbortController();
  readonly #failed = Promise.withResolvers<never>();
  readonly #receiving: Promise<void>;

  /** Starts to receive at once. */
  constructor(session: SealedSession, tell: (news: FromParty) => void) {
    this.#session = session;
    this.#tell = tell;
    this.#receiving = this.#receive().catch(this.#failed.reject);
    // It may fail while nobody waits; whoever waits next is told.
    this.#failed.promise.catch(() => undefined);
  }

  /** Waits for one message of a type from each of the senders, and returns them in that order. */
  async take(type: string, senders: readonly string[]): Promise<readonly ReceivedMessage[]> {
    for (;;) {
      const missing = this.#mailbox.missing(type, senders);
      if (missing.length === 0) return this.#mailbox.read(type, senders);
      this.#tell({ kind: "waiting", what: `${type} from`, parties: missing });
      await Promise.race([this.#mailbox.arrival(), this.#failed.promise]);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#receiving;
  }

  async #receive(): Promise<void> {
    const options = { acknowledge: "by-hand", signal: this.#stop.signal } as const;
    for await (const message of this.#session.messages(options)) this.#mailbox.put(message);
    const { status } = await this.#session.ended;
    throw new Error(`session ${this.#session.sessionId} has ${status}`);
  }
}

/** Tells the router that the messages were processed: it never gives them again, and forgets them. */
export async function acknowledge(messages: readonly ReceivedMessage[]): Promise<void> {
  await Promise.all(messages.map(async (message) => message.acknowledge()));
}
