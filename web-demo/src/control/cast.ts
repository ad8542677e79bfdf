import { all, nameOf, newParty, withLog, withParty } from "../model/changes.ts";
import { changeOf } from "../model/news.ts";
import type { Pace, State } from "../model/state.ts";
import type { Store } from "../model/store.ts";
import type { News } from "../parties/party-messages.ts";
import type { Credentials } from "./credentials.ts";
import { linkOf, type MovedParty } from "./party-link.ts";
import { Pacer } from "./pacer.ts";
import { PartyHandle } from "./party-handle.ts";

export interface CastOptions {
  readonly store: Store;
  /** Of the router: this page's own. */
  readonly origin: string;
  readonly credentials: Credentials;
  /** Hears all news, after the state has. */
  readonly onNews: (partyId: string, news: News) => void;
}

/** The parties that run in this tab, and what the user does to them. */
export class Cast {
  readonly #options: CastOptions;
  readonly #handles = new Map<string, PartyHandle>();
  readonly #publicIdentities = new Map<string, Uint8Array>();
  readonly #pacer: Pacer;

  constructor(options: CastOptions) {
    this.#options = options;
    this.#pacer = new Pacer((want) => {
      this.#handles.get(want.partyId)?.tell({ kind: "go", ticket: want.ticket });
      this.#update((state) => ({
        ...state,
        wants: state.wants.filter(
          (one) => one.partyId !== want.partyId || one.ticket !== want.ticket,
        ),
      }));
    });
  }

  has(partyId: string): boolean {
    return this.#handles.has(partyId);
  }

  handle(partyId: string): PartyHandle | undefined {
    return this.#handles.get(partyId);
  }

  /** Starts a party here: a new one, or one that came with a link. */
  add(partyId: string, name: string, moved?: MovedParty): void {
    this.#update((state) => ({ ...state, parties: [...state.parties, newParty(partyId, name)] }));
    const { origin, credentials } = this.#options;
    const isAuthenticated = credentials.areWanted;
    const start = { partyId, origin, identity: moved?.identity, isAuthenticated };
    const handle = new PartyHandle(start, (news) => this.#hear(partyId, news));
    handle.tell({ kind: "reading", ms: this.#pacer.readingMs });
    this.#handles.set(partyId, handle);
  }

  remove(partyId: string): void {
    this.#handles.get(partyId)?.stop();
    this.#handles.delete(partyId);
    this.#publicIdentities.delete(partyId);
    this.#update((state) => ({
      ...state,
      parties: state.parties.filter((party) => party.id !== partyId),
    }));
  }

  /** Hands each party here the public keys of the others: by the page, so that the router need not be trusted with them. */
  async introduce(): Promise<void> {
    const handles = [...this.#handles.values()];
    for (const handle of handles) {
      this.#publicIdentities.set(handle.partyId, await handle.publicIdentity());
    }
    for (const handle of handles) handle.tell({ kind: "peers", publicIdentities: this.#peers() });
  }

  setPace(pace: Pace): void {
    this.#update((state) => ({ ...state, pace }));
    this.#pacer.setPace(pace);
    for (const handle of this.#handles.values()) {
      handle.tell({ kind: "reading", ms: this.#pacer.readingMs });
    }
  }

  /** Step mode: lets the first message go that waits. */
  step(): void {
    this.#pacer.next();
  }

  /** Forgets messages of sessions that are over. */
  dropWants(sessionId: string): void {
    this.#pacer.drop((want) => want.sessionId === sessionId);
    this.#update((state) => ({
      ...state,
      wants: state.wants.filter((want) => want.sessionId !== sessionId),
    }));
  }

  setOffline(partyId: string, isOffline: boolean): void {
    this.#handles.get(partyId)?.tell({ kind: "line", isOffline });
    const name = nameOf(this.#state, partyId);
    const text = isOffline ? `${name} is offline. Its mail waits.` : `${name} is back.`;
    this.#update(
      all(withParty(partyId, { isOffline }), withLog(text, isOffline ? "warn" : "good")),
    );
  }

  loseAcknowledgement(partyId: string, isArmed: boolean): void {
    this.#handles.get(partyId)?.tell({ kind: "lose-acknowledgement", isArmed });
    this.#update(withParty(partyId, { losesAcknowledgement: isArmed }));
  }

  tamper(partyId: string, isArmed: boolean): void {
    this.#handles.get(partyId)?.tell({ kind: "tamper", isArmed });
    this.#update(withParty(partyId, { tampers: isArmed }));
  }

  /** A link that carries the party, keys and all. */
  async link(partyId: string, base: string): Promise<string> {
    const handle = this.#handles.get(partyId);
    if (handle === undefined) throw new Error(`${partyId} does not run here`);
    const peers = new Map([...this.#peers()].filter(([id]) => id !== partyId));
    const token = await this.#options.credentials.of({ kind: "party", partyId }).current();
    return linkOf({ partyId, identity: await handle.identity(), peers, token }, base);
  }

  /** The party ends here, since it goes on elsewhere. */
  move(partyId: string): void {
    this.#handles.get(partyId)?.stop();
    this.#handles.delete(partyId);
    const name = nameOf(this.#state, partyId);
    this.#update(
      all(
        withParty(partyId, {
          place: "elsewhere",
          isOffline: false,
          hasShare: false,
          activity: "Waits to be opened",
        }),
        withLog(`${name} has left this page. Its link carries its keys.`),
      ),
    );
  }

  get #state(): State {
    return this.#options.store.state;
  }

  #peers(): ReadonlyMap<string, Uint8Array> {
    return new Map(this.#publicIdentities);
  }

  async #handOver(partyId: string): Promise<void> {
    const token = await this.#options.credentials.of({ kind: "party", partyId }).checked();
    if (token !== undefined) this.#handles.get(partyId)?.tell({ kind: "token", token });
  }

  #update(change: (state: State) => State): void {
    this.#options.store.update(change);
  }

  #hear(partyId: string, news: News): void {
    if (!this.#handles.has(partyId)) return;
    if (news.kind === "wants-token") void this.#handOver(partyId);
    this.#update(changeOf(partyId, news));
    if (news.kind === "wants") this.#pacer.add({ partyId, ...news }, this.#state.parties.length);
    this.#options.onNews(partyId, news);
  }
}
