import type { PartySession, ReceivedMessage, SealedSession } from "../../../src/party/index.ts";
import type { ByIndex } from "../../../examples/frost/key-generation.ts";
import { describeContent } from "./contents.ts";
import type { News } from "./party-messages.ts";
import { roundOf, type Round, type RoundId } from "./rounds.ts";

export interface TableOptions {
  readonly session: PartySession;
  readonly mail: SealedSession;
  readonly tell: (news: News) => void;
  /** Resolves when the page lets that message go. */
  readonly mayGo: (message: { roundId: RoundId; to: readonly string[] }) => Promise<void>;
  /** Resolves when a message was looked at for long enough. */
  readonly read: () => Promise<void>;
}

/** One session as a protocol sees it: rounds of payloads by the index of their sender. */
export class Table {
  readonly #options: TableOptions;
  readonly #arrived = new Map<string, Uint8Array>();
  readonly #failed = Promise.withResolvers<never>();
  #bell = Promise.withResolvers<void>();

  constructor(options: TableOptions) {
    this.#options = options;
    this.#failed.promise.catch(() => undefined);
    this.#receive().catch(this.#failed.reject);
  }

  get session(): PartySession {
    return this.#options.session;
  }

  async broadcast(roundId: RoundId, payload: Uint8Array): Promise<void> {
    await this.#settled(this.#options.mayGo({ roundId, to: [] }));
    await this.#settled(this.#options.mail.broadcast(outgoing(roundOf(roundId), payload)));
  }

  async send(roundId: RoundId, partyIndex: number, payload: Uint8Array): Promise<void> {
    const to = this.session.parties.find((party) => party.partyIndex === partyIndex);
    if (to === undefined) throw new Error(`no party sits at ${partyIndex}`);
    await this.#settled(this.#options.mayGo({ roundId, to: [to.partyId] }));
    await this.#settled(this.#options.mail.send(to.partyId, outgoing(roundOf(roundId), payload)));
  }

  /** Resolves with a round's payload of each other party. */
  async collect(roundId: RoundId): Promise<ByIndex> {
    const { session, tell } = this.#options;
    const { sessionId, partyId } = session;
    const others = session.parties.filter((party) => party.partyId !== partyId);
    for (;;) {
      const missing = others.filter((party) => !this.#arrived.has(keyOf(roundId, party.partyId)));
      const names = missing.map((party) => party.partyId);
      tell({ kind: "waiting", sessionId, roundId, missing: names });
      if (missing.length === 0) break;
      await this.#settled(this.#bell.promise);
    }
    return new Map(
      others.map((party) => {
        const payload = this.#arrived.get(keyOf(roundId, party.partyId));
        return [party.partyIndex, payload ?? new Uint8Array()];
      }),
    );
  }

  async #receive(): Promise<void> {
    for await (const message of this.#options.mail.messages({ acknowledge: "by-hand" })) {
      this.#take(message).catch(this.#failed.reject);
    }
    await this.session.ended;
    throw new Error("the session has ended");
  }

  async #take(message: ReceivedMessage): Promise<void> {
    const { tell, read, session } = this.#options;
    const { messageId } = message;
    tell({ kind: "opened", messageId, fields: describeContent(message, session) });
    await read();
    // The first counts: what was answered to stays as it is.
    const key = keyOf(roundIdOf(message, session), message.from);
    if (!this.#arrived.has(key)) this.#arrived.set(key, message.payload);
    this.#bell.resolve();
    this.#bell = Promise.withResolvers();
    await message.acknowledge();
  }

  async #settled<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([promise, this.#failed.promise]);
  }
}

function outgoing(
  round: Round,
  payload: Uint8Array,
): { round: number; type: string; payload: Uint8Array } {
  return { round: round.number, type: round.messageType, payload };
}

function roundIdOf(message: ReceivedMessage, session: PartySession): string {
  return `${session.type}-${message.round}`;
}

function keyOf(roundId: string, partyId: string): string {
  return `${roundId} ${partyId}`;
}
