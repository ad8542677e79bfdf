import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { MPCMessage } from "../../gen/mpc/router/v1/message_router_pb.js";
import { Mailbox } from "./mailbox.ts";
import type { FromParty } from "./party-messages.ts";
import type { RouterLink } from "./router-link.ts";

export interface OutgoingMessage {
  /** Empty: everybody else in the session. */
  readonly to: readonly string[];
  /** How many parties that is; for the story only. */
  readonly recipients: number;
  readonly round: number;
  readonly type: string;
  readonly payload: Uint8Array;
}

interface MailOptions {
  readonly sessionId: string;
  readonly partyId: string;
  readonly tell: (news: FromParty) => void;
}

/** A party's messages of one session: one stream in, acknowledged after use, and calls out. */
export class SessionMail implements AsyncDisposable {
  readonly #link: RouterLink;
  readonly #options: MailOptions;
  readonly #mailbox = new Mailbox();
  readonly #acknowledged = new Set<string>();
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #receiving: Promise<void>;
  #failure: Error | undefined;

  /** Starts to receive at once; the party has joined. */
  constructor(link: RouterLink, options: MailOptions, signal: AbortSignal) {
    this.#link = link;
    this.#options = options;
    this.#signal = AbortSignal.any([signal, this.#stop.signal]);
    this.#receiving = this.#receive().catch((error: unknown) => {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      this.#stop.abort();
    });
  }

  get duplicates(): number {
    return this.#mailbox.duplicates;
  }

  /** Resolves when the router has made the message durable for every recipient. */
  async send(message: OutgoingMessage): Promise<void> {
    const { sessionId, partyId, tell } = this.#options;
    // Under one key the router takes the message once, however often a lost answer makes us repeat the call.
    const headers = { "idempotency-key": randomUUID() };
    const request = {
      sessionId,
      fromParty: partyId,
      toParties: [...message.to],
      roundNumber: message.round,
      messageType: message.type,
      payload: message.payload,
    };
    const sentAt = nowMs();
    const { messageId } = await this.#link.call(
      async (options) => this.#link.api.routeMessage(request, { ...options, headers }),
      this.#signal,
    );
    const { round, type, recipients } = message;
    tell({
      kind: "sent",
      messageId,
      sentAt,
      round,
      type,
      recipients,
      bytes: message.payload.length,
    });
  }

  /** Waits for one message of a type from each of the senders, and returns them in that order. */
  async take(type: string, senders: readonly string[]): Promise<readonly MPCMessage[]> {
    for (;;) {
      const missing = this.#mailbox.missing(type, senders);
      if (missing.length === 0) return this.#mailbox.read(type, senders);
      this.#options.tell({ kind: "waiting", what: `${type} from`, parties: missing });
      await this.#arrivalOrFailure();
    }
  }

  /** Tells the router that the messages were processed: it never gives them again, and forgets them. */
  async acknowledge(messages: readonly MPCMessage[]): Promise<void> {
    await Promise.all(messages.map(async (message) => this.#acknowledge(message.messageId)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#receiving;
  }

  async #receive(): Promise<void> {
    const { sessionId, partyId, tell } = this.#options;
    const { api } = this.#link;
    const request = { sessionId, partyId };
    const stream = this.#link.follow(
      (options) => api.subscribeMessages(request, options),
      this.#signal,
    );
    for await (const message of stream) {
      const receivedAt = nowMs();
      if (this.#mailbox.put(message)) {
        tell({ kind: "received", messageId: message.messageId, receivedAt });
      } else if (this.#acknowledged.has(message.messageId)) {
        // It was on its way already, or the broker lost the acknowledgement when it was killed.
        await this.#acknowledge(message.messageId);
      }
    }
    throw new Error(`the router ended the messages of session ${sessionId}`);
  }

  async #arrivalOrFailure(): Promise<void> {
    const left = new AbortController();
    try {
      const stopped = this.#signal.aborted
        ? Promise.resolve()
        : once(this.#signal, "abort", { signal: left.signal }).catch(() => undefined);
      await Promise.race([this.#mailbox.arrival(), stopped]);
    } finally {
      left.abort();
    }
    if (this.#failure !== undefined) throw this.#failure;
    this.#signal.throwIfAborted();
  }

  async #acknowledge(messageId: string): Promise<void> {
    const { sessionId, partyId } = this.#options;
    const request = { sessionId, partyId, messageId, success: true, errorMessage: "" };
    await this.#link.call(
      async (options) => this.#link.api.acknowledgeMessage(request, options),
      this.#signal,
    );
    this.#acknowledged.add(messageId);
  }
}

/** Unix milliseconds with fractions: comparable between processes of one machine. */
function nowMs(): number {
  return performance.timeOrigin + performance.now();
}
