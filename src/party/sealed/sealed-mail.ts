import { Code } from "@connectrpc/connect";
import { PartyError } from "../party-error.ts";
import type { MessagesOptions, PartySession, ReceivedMessage } from "../party-session.ts";
import { either, orAborted } from "../pause.ts";
import type { Opener } from "./opener.ts";
import { SealError } from "./seal-error.ts";

/** An open loop over the messages of the session. */
interface Source {
  readonly stream: AsyncIterableIterator<ReceivedMessage>;
  readonly stop: AbortController;
}

/**
 * Opened messages. The application's loop and the channel's own waits read the same stream: whoever waits pulls, and
 * what is not for it is kept for the other. The router sends at most 1,024 messages ahead, so that is the most kept.
 */
export class SealedMail {
  readonly #session: PartySession;
  readonly #opener: Opener;
  readonly #onRefused: ((error: SealError) => void) | undefined;
  readonly #opened: ReceivedMessage[] = [];
  readonly #refusals: SealError[] = [];
  #last: ReceivedMessage | undefined;
  #isReading = false;
  #readers = 0;
  #source: Source | undefined;
  #pulling: Promise<boolean> | undefined;
  #closing: Promise<unknown> = Promise.resolve();

  constructor(
    session: PartySession,
    opener: Opener,
    onRefused: ((error: SealError) => void) | undefined,
  ) {
    this.#session = session;
    this.#opener = opener;
    this.#onRefused = onRefused;
  }

  async *messages(options: MessagesOptions = {}): AsyncGenerator<ReceivedMessage, void, undefined> {
    if (this.#isReading) {
      const text = "a loop over the messages of this session is under way";
      throw new PartyError("ALREADY_READING", text, { code: Code.FailedPrecondition });
    }
    this.#isReading = true;
    this.#readers++;
    const signal = either(options.signal);
    try {
      for (;;) {
        this.settleLast();
        const hasOne = await this.#receive(() => this.#opened.length > 0, signal);
        const message = this.#opened.shift();
        if (!hasOne || message === undefined) return;
        if (options.acknowledge !== "by-hand") this.#last = message;
        yield message;
      }
    } finally {
      this.#isReading = false;
      await this.#leave();
    }
  }

  /** Receives until the condition holds; resolves with `false` when the session ended before. */
  async receiveUntil(condition: () => Promise<boolean>, signal: AbortSignal): Promise<boolean> {
    this.#readers++;
    try {
      return await this.#receive(condition, signal);
    } finally {
      await this.#leave();
    }
  }

  /** The application is through with the message that it had last, unless it said so itself. */
  settleLast(): void {
    const message = this.#last;
    this.#last = undefined;
    if (message === undefined) return;
    // It is repeated in the background; what the router does not want to hear is of no use to the application.
    message.acknowledge().catch(() => undefined);
  }

  async #receive(
    condition: () => boolean | Promise<boolean>,
    signal: AbortSignal,
  ): Promise<boolean> {
    for (;;) {
      const refused = this.#refusals.shift();
      if (refused !== undefined) throw refused;
      if (await condition()) return true;
      this.#pulling ??= this.#pull();
      if (!(await orAborted(this.#pulling, signal))) return false;
    }
  }

  /** Takes in one message. Resolves with `false` when the session has ended. */
  async #pull(): Promise<boolean> {
    await this.#closing;
    this.#source ??= this.#openSource();
    const source = this.#source;
    try {
      const { value, done } = await source.stream.next();
      if (done === true) return false;
      await this.#take(value);
      return true;
    } catch (error) {
      // A loop that broke is over; the next wait begins another.
      if (this.#source === source) this.#source = undefined;
      throw error;
    } finally {
      if (this.#source === source || this.#source === undefined) this.#pulling = undefined;
    }
  }

  #openSource(): Source {
    const stop = new AbortController();
    const stream = this.#session.messages({ acknowledge: "by-hand", signal: stop.signal });
    return { stream, stop };
  }

  async #take(message: ReceivedMessage): Promise<void> {
    try {
      const payload = await this.#opener.open(message);
      if (payload !== undefined) this.#opened.push(this.#handing(message, payload));
      else message.acknowledge().catch(() => undefined);
    } catch (error) {
      if (!(error instanceof SealError)) throw error;
      message.refuse(error.message, { permanent: true }).catch(() => undefined);
      if (this.#onRefused === undefined) this.#refusals.push(error);
      else this.#onRefused(error);
    }
  }

  #handing(message: ReceivedMessage, payload: Uint8Array): ReceivedMessage {
    const { messageId } = message;
    const settled = (): void => {
      if (this.#last?.messageId === messageId) this.#last = undefined;
    };
    return {
      ...message,
      payload,
      acknowledge: () => {
        settled();
        return message.acknowledge();
      },
      refuse: (reason, options) => {
        settled();
        return message.refuse(reason, options);
      },
    };
  }

  /** Nobody waits any more: the stream is closed, and what was pulled is kept. */
  async #leave(): Promise<void> {
    this.#readers--;
    const source = this.#source;
    if (this.#readers > 0 || source === undefined) return;
    this.#source = undefined;
    this.#pulling?.catch(() => undefined);
    this.#pulling = undefined;
    source.stop.abort();
    this.#closing = (source.stream.return?.() ?? Promise.resolve()).catch(() => undefined);
    await this.#closing;
  }
}
