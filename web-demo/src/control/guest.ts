import type { Store } from "../model/store.ts";
import { isSignature } from "./verification.ts";
import { initialRun } from "../model/state.ts";
import { newParty, withLog, withRun } from "../model/changes.ts";
import type { News } from "../parties/party-messages.ts";
import { Cast } from "./cast.ts";
import { CoordinatorApi } from "./coordinator-api.ts";
import type { Credentials } from "./credentials.ts";
import { DeliveryWatch } from "./delivery-watch.ts";
import type { MovedParty } from "./party-link.ts";
import { nameIn } from "./party-names.ts";

interface GuestOptions {
  readonly store: Store;
  /** Of the router. */
  readonly origin: string;
  readonly credentials: Credentials;
  readonly party: MovedParty;
}

/** One party that came with a link: it takes part in what others order, and asks its user before it signs. */
export class Guest {
  readonly cast: Cast;
  readonly #store: Store;
  readonly #party: MovedParty;
  #messageHash = "";

  constructor(options: GuestOptions) {
    const { store, origin, credentials, party } = options;
    this.#store = store;
    this.#party = party;
    const api = new CoordinatorApi({
      origin,
      credential: credentials.of({ kind: "party", partyId: party.partyId }),
      onReach: (isReached) => store.update((state) => ({ ...state, isRouterAway: !isReached })),
    });
    this.cast = new Cast({ ...options, onNews: (_partyId, news) => this.#hear(news) });
    this.#seatAll();
    this.cast.setPace("watch");
    this.cast.handle(party.partyId)?.tell({ kind: "peers", publicIdentities: party.peers });
    void new DeliveryWatch(store, api).run();
  }

  /** The user allows the signature that this party is asked for. */
  approve(): void {
    const { question } = this.#store.state;
    if (question === undefined) return;
    this.cast.handle(this.#party.partyId)?.tell({ kind: "approve", ...question });
    this.#store.update((state) => ({ ...state, question: undefined }));
    this.#store.update(withLog("You allowed the signature."));
  }

  #seatAll(): void {
    const { partyId, peers } = this.#party;
    this.cast.add(partyId, nameIn(partyId), this.#party);
    const others = [...peers.keys()].map((id) => ({
      ...newParty(id, nameIn(id)),
      place: "elsewhere" as const,
      isSeen: true,
      activity: "",
    }));
    this.#store.update((state) => ({
      ...state,
      parties: [...state.parties, ...others].toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    }));
  }

  #hear(news: News): void {
    if (news.kind === "invited") this.#noteSession(news);
    if (news.kind === "asked") {
      const { sessionId, messageHash } = news;
      this.#store.update((state) => ({ ...state, question: { sessionId, messageHash } }));
    }
    if (news.kind === "finished") void this.#noteResult(news);
    if (news.kind === "stopped") {
      this.#store.update((state) =>
        state.question?.sessionId === news.sessionId ? { ...state, question: undefined } : state,
      );
      this.#store.update(withLog(`The session has ended: ${news.reason}`, "warn"));
    }
  }

  async #noteResult(news: Extract<News, { kind: "finished" }>): Promise<void> {
    if (news.session === "keygen") {
      this.#store.update(withRun({ publicKey: news.result, stage: "done" }));
      this.#store.update(withLog("The key is made, and a share of it is here.", "good"));
      return;
    }
    const { publicKey = "" } = this.#store.state.run;
    const signature = news.result;
    const isVerified = await isSignature({ messageHash: this.#messageHash, publicKey, signature });
    this.#store.update(withRun({ signature, isVerified, stage: "done" }));
    const text = isVerified ? "The signature verifies." : "The signature does NOT verify.";
    this.#store.update(withLog(text, isVerified ? "good" : "bad"));
  }

  #noteSession(news: Extract<News, { kind: "invited" }>): void {
    const { sessionId, session, thresholdT, parties } = news;
    this.#store.update((state) => ({ ...state, thresholdT }));
    if (session === "keygen") {
      this.#store.update((state) => ({ ...state, messages: [] }));
      this.#store.update(withRun({ ...initialRun, stage: "keygen", keygenSessionId: sessionId }));
    } else {
      this.#messageHash = news.messageHash;
      this.#store.update(
        withRun({
          stage: "sign",
          signSessionId: sessionId,
          signers: parties,
          signature: undefined,
          isVerified: undefined,
        }),
      );
    }
  }
}
