import { withDelivery } from "../model/changes.ts";
import type { MessageState } from "../model/state.ts";
import type { Store } from "../model/store.ts";
import { pause } from "../pause.ts";
import { ApiError, type CoordinatorApi } from "./coordinator-api.ts";

/** From one look at all open messages to the next, in milliseconds: soon after something changed, seldom otherwise. */
const eagerMs = 100;
const calmMs = 600;
const eagerForMs = 3_000;

/** Asks the router what became of each message until it is settled, one call at a time. */
export class DeliveryWatch {
  readonly #store: Store;
  readonly #api: CoordinatorApi;
  /** Messages that the router has forgotten: they stay as they were seen last. */
  readonly #forgotten = new Set<string>();
  #changedAt = 0;

  constructor(store: Store, api: CoordinatorApi) {
    this.#store = store;
    this.#api = api;
  }

  async run(): Promise<never> {
    for (let known = 0; ; known = this.#store.state.messages.length) {
      if (this.#store.state.messages.length !== known) this.#changedAt = performance.now();
      for (const message of this.#store.state.messages) {
        if (!isSettled(message) && !this.#forgotten.has(message.id)) await this.#look(message);
      }
      const isEager = performance.now() - this.#changedAt < eagerForMs;
      await pause(isEager ? eagerMs : calmMs);
    }
  }

  async #look({ id, sessionId }: MessageState): Promise<void> {
    try {
      for (const seen of await this.#api.messageStatus(sessionId, id)) {
        this.#note(id, seen);
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#forgotten.add(id);
    }
  }

  #note(
    messageId: string,
    seen: Awaited<ReturnType<CoordinatorApi["messageStatus"]>>[number],
  ): void {
    const message = this.#store.state.messages.find(({ id }) => id === messageId);
    const before = message?.deliveries.find(({ to }) => to === seen.partyId);
    if (before?.status === seen.status && before.retries === seen.retryCount) return;
    this.#changedAt = performance.now();
    this.#store.update(
      withDelivery(messageId, seen.partyId, {
        status: seen.status,
        retries: seen.retryCount,
        deliveredAt: Number(seen.deliveredAt),
        acknowledgedAt: Number(seen.acknowledgedAt),
      }),
    );
  }
}

function isSettled(message: MessageState): boolean {
  return message.deliveries.every(({ status }) => status === "acknowledged" || status === "failed");
}
