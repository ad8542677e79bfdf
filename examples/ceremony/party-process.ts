import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Finished, FromParty, PartySettings, ToParty } from "./party-messages.ts";

const stopGraceMs = 2_000;

/** A running party, seen from the main process. */
export class PartyProcess implements AsyncDisposable {
  readonly settings: PartySettings;
  readonly #child: ChildProcess;
  readonly #failed = Promise.withResolvers<never>();
  readonly #news = new Set<(news: FromParty) => void>();
  /** By session: a party may be done before the call that created the session is answered. */
  readonly #finished = new Map<string, Finished>();
  #state = "starts";
  #trouble = "";
  #stopping = false;

  /** `listener` hears everything that the party tells. */
  constructor(settings: PartySettings, listener: (news: FromParty) => void) {
    this.settings = settings;
    this.#news.add(listener);
    const program = fileURLToPath(new URL("./party.ts", import.meta.url));
    this.#child = fork(program, [JSON.stringify(settings)]);
    this.#child.on("message", (news: FromParty) => this.#hear(news));
    this.#child.on("error", (error) => this.#failed.reject(error));
    this.#child.on("exit", (code, signalName) => {
      if (this.#stopping) return;
      this.#failed.reject(new Error(`${settings.partyId} ended (${code ?? signalName})`));
    });
    // It may fail while nobody waits for it; whoever waits next is told.
    this.#failed.promise.catch(() => undefined);
  }

  /** What the party does now, and whom it waits for. */
  get state(): string {
    const trouble = this.#trouble === "" ? "" : ` (no answer from the router: ${this.#trouble})`;
    return `${this.#state}${trouble}`;
  }

  /** Rejects when the party fails; never resolves. */
  async failure(): Promise<never> {
    return this.#failed.promise;
  }

  tell(order: ToParty): void {
    this.#child.send(order);
  }

  /** Resolves with the identity key of the party, once its process is up. */
  async up(): Promise<string> {
    const news = await this.#next((one) => (one.kind === "up" ? one : undefined));
    return news.publicKey;
  }

  async registered(): Promise<void> {
    await this.#next((one) => (one.kind === "registered" ? one : undefined));
  }

  async approved(messageHash: string): Promise<void> {
    await this.#next((one) => {
      return one.kind === "approved" && one.messageHash === messageHash ? one : undefined;
    });
  }

  /** Resolves when the party has seen the session of that id completed. */
  async finished(sessionId: string): Promise<Finished> {
    const early = this.#finished.get(sessionId);
    if (early !== undefined) return early;
    return this.#next((one) => {
      return one.kind === "finished" && one.sessionId === sessionId ? one : undefined;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    if (this.#child.connected) this.#child.disconnect();
    const killer = setTimeout(() => this.#child.kill("SIGKILL"), stopGraceMs);
    await ended;
    clearTimeout(killer);
  }

  #hear(news: FromParty): void {
    if (news.kind === "waiting") {
      this.#state = `waits for ${news.what} ${news.parties.join(", ")}`;
    } else if (news.kind === "failed") {
      this.#state = "failed";
      this.#failed.reject(new Error(`${this.settings.partyId}: ${news.message}`));
    } else if (news.kind === "finished" || news.kind === "registered") {
      this.#state = "waits for a session";
    } else if (news.kind === "trouble") {
      this.#trouble = news.message;
    } else if (news.kind === "round") {
      this.#state = `is in ${news.session} round ${news.round}`;
    }
    if (news.kind === "finished") this.#finished.set(news.sessionId, news);
    for (const listener of this.#news) listener(news);
  }

  async #next<T extends FromParty>(pick: (news: FromParty) => T | undefined): Promise<T> {
    const found = Promise.withResolvers<T>();
    const listener = (news: FromParty): void => {
      const picked = pick(news);
      if (picked !== undefined) found.resolve(picked);
    };
    this.#news.add(listener);
    try {
      return await Promise.race([found.promise, this.failure()]);
    } finally {
      this.#news.delete(listener);
    }
  }
}
