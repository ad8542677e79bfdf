import type { News, Order } from "../parties/party-messages.ts";

type Start = Omit<Extract<Order, { kind: "start" }>, "kind">;

/** A party's worker, from the page's side. */
export class PartyHandle {
  readonly partyId: string;
  readonly #worker: Worker;
  readonly #publicIdentity = Promise.withResolvers<Uint8Array>();
  #exported = Promise.withResolvers<Uint8Array>();

  constructor(start: Start, onNews: (news: News) => void) {
    this.partyId = start.partyId;
    this.#worker = new Worker(new URL("../parties/party-worker.ts", import.meta.url), {
      type: "module",
      name: start.partyId,
    });
    this.#worker.addEventListener("message", ({ data }: MessageEvent<News>) => {
      if (data.kind === "up") this.#publicIdentity.resolve(data.publicIdentity);
      if (data.kind === "exported") this.#exported.resolve(data.identity);
      onNews(data);
    });
    this.#worker.addEventListener("error", (event) => {
      onNews({ kind: "failed", text: event.message });
    });
    this.tell({ kind: "start", ...start });
  }

  tell(order: Order): void {
    this.#worker.postMessage(order);
  }

  /** Resolves once the worker runs. */
  async publicIdentity(): Promise<Uint8Array> {
    return this.#publicIdentity.promise;
  }

  /** The secret keys, for a link. */
  async identity(): Promise<Uint8Array> {
    this.#exported = Promise.withResolvers();
    this.tell({ kind: "export" });
    return this.#exported.promise;
  }

  /** Its connections close with it; the router keeps its mail. */
  stop(): void {
    this.#worker.terminate();
  }
}
