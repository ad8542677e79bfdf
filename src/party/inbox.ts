import { Code } from "@connectrpc/connect";
import type { MPCMessage } from "../../gen/mpc/router/v1/message_router_pb.js";
import { Acknowledger, type Outcome } from "./acknowledger.ts";
import { PartyError } from "./party-error.ts";
import type { MessagesOptions, ReceivedMessage } from "./party-session.ts";
import { backOff, either, orAborted } from "./pause.ts";
import type { RouterLink, StreamControl } from "./router-link.ts";
import type { SessionWatch } from "./session-watch.ts";

/** Messages that are remembered, to hand each out once. More than any known protocol has in a session. */
const mostMessages = 10_000;

/** How long a refused message may take to come again; it still counts as pending at the router. */
const refusedMs = 30_000;

const permanentPrefix = "permanent:";

/** What became of a message here. */
interface Entry {
  fate: "handed" | "acknowledging" | "acknowledged" | "refused";
  refusedAt: number;
}

export interface InboxOptions {
  readonly sessionId: string;
  readonly partyId: string;
  readonly watch: SessionWatch;
  readonly ask: (signal: AbortSignal) => Promise<string>;
  /** Makes room for the stream; resolves with the way to give it back. */
  readonly takeTurn: (signal: AbortSignal) => Promise<() => void>;
  /** Aborts when the session is closed here. */
  readonly signal: AbortSignal;
}

/** A party's messages of one session: handed out one at a time, each once, and acknowledged after use. */
export class Inbox {
  readonly #link: RouterLink;
  readonly #options: InboxOptions;
  readonly #acknowledger: Acknowledger;
  readonly #entries = new Map<string, Entry>();
  readonly #control: StreamControl = {};
  #last: string | undefined;
  #isReading = false;
  #waitingSince: number | undefined;
  #arrivals = 0;
  #duplicates = 0;

  constructor(link: RouterLink, options: InboxOptions) {
    this.#link = link;
    this.#options = options;
    this.#acknowledger = new Acknowledger((outcome) => this.#tell(outcome));
  }

  get duplicates(): number {
    return this.#duplicates;
  }

  /** Deliveries so far, copies too. */
  get arrivals(): number {
    return this.#arrivals;
  }

  /** Since when the application waits for a message; `undefined`: it does not. By `performance.now()`. */
  get waitingSince(): number | undefined {
    return this.#waitingSince;
  }

  /** Messages that are here and that the router still counts as pending. */
  get heldCount(): number {
    const refusedAfter = performance.now() - refusedMs;
    let count = 0;
    for (const { fate, refusedAt } of this.#entries.values()) {
      if (fate === "handed" || fate === "acknowledging") count++;
      if (fate === "refused" && refusedAt > refusedAfter) count++;
    }
    return count;
  }

  /** The connection may be dead without a sign. */
  reopen(): void {
    this.#control.reopen?.();
  }

  async *messages(options: MessagesOptions = {}): AsyncGenerator<ReceivedMessage, void, undefined> {
    if (this.#isReading) {
      const text = "a loop over the messages of this session is under way";
      throw new PartyError("ALREADY_READING", text, { code: Code.FailedPrecondition });
    }
    this.#isReading = true;
    const signal = either(this.#options.signal, options.signal);
    const isByHand = options.acknowledge === "by-hand";
    try {
      await this.settleLast(signal);
      for await (const wire of this.#stream(signal)) {
        if (!this.#admit(wire.messageId)) continue;
        if (!isByHand) this.#last = wire.messageId;
        yield this.#messageOf(wire);
        await this.settleLast(signal);
      }
    } finally {
      this.#isReading = false;
    }
  }

  /** The application is through with the message that it had last, unless it said so itself. */
  async settleLast(signal: AbortSignal): Promise<void> {
    const messageId = this.#last;
    this.#last = undefined;
    if (messageId === undefined || this.#entries.get(messageId)?.fate !== "handed") return;
    // It is repeated in the background; what the router does not want to hear is of no use to the application.
    this.#acknowledge(messageId).catch(() => undefined);
    await orAborted(this.#acknowledger.room(), signal);
  }

  /** Resolves when the router knows of all acknowledgements. */
  drained(): Promise<void> {
    return this.#acknowledger.drained();
  }

  async *#stream(signal: AbortSignal): AsyncGenerator<MPCMessage, void, undefined> {
    const { watch, ask, takeTurn } = this.#options;
    const giveBack = await takeTurn(signal);
    try {
      for (let tries = 0; ; tries++) {
        yield* this.#follow(signal);
        if (!watch.ending.aborted) watch.note(await ask(signal));
        if (watch.ending.aborted) return;
        await backOff(tries, signal);
      }
    } catch (error) {
      if (!watch.noteRefusal(error)) throw error;
    } finally {
      giveBack();
    }
  }

  async *#follow(signal: AbortSignal): AsyncGenerator<MPCMessage, void, undefined> {
    const { sessionId, partyId } = this.#options;
    const stream = this.#link.follow(
      (options) => this.#link.api.subscribeMessages({ sessionId, partyId }, options),
      { signal, control: this.#control },
    );
    try {
      for (;;) {
        this.#waitingSince ??= performance.now();
        const item = await stream.next();
        if (item.done === true) return;
        this.#arrivals++;
        this.#waitingSince = undefined;
        yield item.value;
      }
    } finally {
      this.#waitingSince = undefined;
      await stream.return();
    }
  }

  /** Says whether the message is for the application: it is new, or was refused before. */
  #admit(messageId: string): boolean {
    const entry = this.#entries.get(messageId);
    if (entry !== undefined && entry.fate !== "refused") {
      this.#duplicates++;
      // It was on its way already, or the broker lost the acknowledgement when it was killed.
      if (entry.fate === "acknowledged") this.#acknowledge(messageId).catch(() => undefined);
      return false;
    }
    this.#entries.set(messageId, { fate: "handed", refusedAt: 0 });
    if (this.#entries.size > mostMessages) this.#forgetOne();
    return true;
  }

  #forgetOne(): void {
    for (const [messageId, { fate }] of this.#entries) {
      if (fate !== "acknowledged") continue;
      this.#entries.delete(messageId);
      return;
    }
  }

  #messageOf(wire: MPCMessage): ReceivedMessage {
    const { messageId } = wire;
    return {
      messageId,
      sessionId: wire.sessionId,
      from: wire.fromParty,
      isBroadcast: wire.isBroadcast,
      round: wire.roundNumber,
      type: wire.messageType,
      payload: wire.payload,
      createdAt: Number(wire.createdAt),
      acknowledge: () => this.#acknowledge(messageId),
      refuse: (reason, { permanent = false } = {}) =>
        this.#refuse(messageId, permanent ? `${permanentPrefix} ${reason}` : reason),
    };
  }

  async #acknowledge(messageId: string): Promise<void> {
    const entry = this.#entries.get(messageId);
    if (entry !== undefined) entry.fate = "acknowledging";
    try {
      await this.#acknowledger.start({ messageId, refusal: "" });
    } finally {
      // Should it have been in vain: the application is through with it, and it is acknowledged when it comes again.
      if (entry !== undefined) entry.fate = "acknowledged";
    }
  }

  async #refuse(messageId: string, reason: string): Promise<void> {
    const entry = this.#entries.get(messageId);
    if (entry !== undefined) {
      entry.fate = "refused";
      entry.refusedAt = performance.now();
    }
    await this.#acknowledger.start({ messageId, refusal: cut(reason === "" ? "refused" : reason) });
  }

  async #tell({ messageId, refusal }: Outcome): Promise<void> {
    const { sessionId, partyId, signal } = this.#options;
    const success = refusal === "";
    const request = { sessionId, partyId, messageId, success, errorMessage: refusal };
    await this.#link.call((options) => this.#link.api.acknowledgeMessage(request, options), {
      signal,
    });
  }
}

/** The router takes 1,024 bytes of a reason. A character is up to three of them. */
function cut(reason: string): string {
  return reason.slice(0, 341);
}
