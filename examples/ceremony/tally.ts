import type { FromParty, Received, Sent } from "./party-messages.ts";

/** Messages of one type, which are all of one size. */
export interface TypeTraffic {
  readonly type: string;
  readonly round: number;
  readonly messages: number;
  /** Of one message. */
  readonly recipients: number;
  /** Of one message. */
  readonly bytes: number;
}

/** What went through the router, as sums. */
export interface Traffic {
  readonly messages: number;
  /** A broadcast to two parties is one message and two deliveries. */
  readonly deliveries: number;
  /** Of payload, once a message. */
  readonly bytes: number;
  /** In the order they were first sent. */
  readonly types: readonly TypeTraffic[];
  /** From the sender's call to the recipient's hands. */
  readonly hopMs: { readonly median: number; readonly max: number };
}

/** Puts together what senders and recipients tell of the same messages; its size grows with the runs only. */
export class Tally {
  readonly #sent = new Map<string, Sent>();
  readonly #received: Received[] = [];

  note(news: FromParty): void {
    if (news.kind === "sent") this.#sent.set(news.messageId, news);
    if (news.kind === "received") this.#received.push(news);
  }

  traffic(): Traffic {
    const hops = this.#received
      .map((one) => one.receivedAt - (this.#sent.get(one.messageId)?.sentAt ?? Number.NaN))
      .filter((hop) => !Number.isNaN(hop))
      .toSorted((a, b) => a - b);
    return {
      messages: this.#sent.size,
      deliveries: this.#received.length,
      bytes: [...this.#sent.values()].reduce((sum, one) => sum + one.bytes, 0),
      types: this.#types(),
      hopMs: {
        median: rounded(hops[Math.floor(hops.length / 2)] ?? 0),
        max: rounded(hops.at(-1) ?? 0),
      },
    };
  }

  #types(): readonly TypeTraffic[] {
    const recipients = Map.groupBy(this.#received, ({ messageId }) => messageId);
    const types = new Map<string, TypeTraffic>();
    for (const { messageId, round, type, bytes } of this.#sent.values()) {
      const messages = (types.get(type)?.messages ?? 0) + 1;
      const each = { recipients: recipients.get(messageId)?.length ?? 0, bytes };
      types.set(type, { type, round, messages, ...each });
    }
    return [...types.values()];
  }
}

function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 100) / 100;
}
