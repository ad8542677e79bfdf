import { namesOf, withLog, withParty, withRun } from "../model/changes.ts";
import { initialRun, type RunState, type State } from "../model/state.ts";
import type { Store } from "../model/store.ts";
import { pause } from "../pause.ts";
import type { News } from "../parties/party-messages.ts";
import { base64Of, hexOf, hexOfBase64 } from "./bytes.ts";
import { Cast, type CastOptions } from "./cast.ts";
import type { Credentials } from "./credentials.ts";
import { CoordinatorApi, type NewSession, type SessionView } from "./coordinator-api.ts";
import { membersOf, mostParties, newPartyIds, type CastMember } from "./party-names.ts";
import { watchPresence } from "./presence-watch.ts";
import { pickSigners } from "./signers.ts";
import { DeliveryWatch } from "./delivery-watch.ts";
import { hashOf, isSignature } from "./verification.ts";

const startParties = 3;
const leastParties = 2;

/** Parties of a key, and how many of them sign. */
const thresholds: Readonly<Record<number, number>> = { 2: 2, 3: 2, 4: 3, 5: 3 };

/** Parties that run here say when they are done; this is for those that do not. */
const sessionPollMs = 300;

/** The run was given up: by the user, or because a party refused a message. */
class GivenUp extends Error {}

/** The wallet's backend and the stage's director: orders sessions, picks signers, and has the parties take part. */
export class Conductor {
  readonly cast: Cast;
  readonly #store: Store;
  readonly #api: CoordinatorApi;
  readonly #credentials: Credentials;
  readonly #newPartyIds = newPartyIds();
  /** All that this page could run. */
  #members: readonly CastMember[] = membersOf(this.#newPartyIds);
  #signatures = 0;
  /** Rejects when the run under way is given up. */
  #givenUp: PromiseWithResolvers<never> | undefined;
  /** Rung when a session may have changed. */
  #bell = Promise.withResolvers<void>();

  constructor(options: Pick<CastOptions, "store" | "origin" | "credentials">) {
    const { store, origin, credentials } = options;
    this.#store = store;
    this.#credentials = credentials;
    this.#api = new CoordinatorApi({
      origin,
      credential: credentials.of({ kind: "coordinator" }),
      onReach: (isReached) => {
        if (store.state.isRouterAway === isReached) {
          store.update((state) => ({ ...state, isRouterAway: !isReached }));
        }
      },
    });
    this.cast = new Cast({ ...options, onNews: (partyId, news) => this.#hear(partyId, news) });
    void new DeliveryWatch(store, this.#api).run();
    void watchPresence(store, this.#api);
  }

  /** What the parties are called that it begins with, unless tokens say otherwise. */
  get firstPartyIds(): readonly string[] {
    return this.#newPartyIds.slice(0, startParties);
  }

  /** How many parties there may be: with authentication, those that there are tokens of. */
  get mostParties(): number {
    return this.#members.length;
  }

  /** Lets the parties come in, which may want credentials. */
  async begin(): Promise<void> {
    const { areWanted } = this.#credentials;
    await this.#credentials.require({ coordinator: true, parties: [], leastParties });
    if (areWanted) this.#members = membersOf(this.#credentials.partyIds.slice(0, mostParties));
    this.setParties(areWanted ? this.mostParties : startParties);
  }

  /** Has that many parties, and no key yet. */
  setParties(count: number): void {
    const before = this.#state.parties;
    for (const party of before.slice(count)) this.cast.remove(party.id);
    for (const { partyId, name } of this.#members.slice(before.length, count)) {
      this.cast.add(partyId, name);
    }
    this.#store.update((state) => ({
      ...state,
      thresholdT: thresholds[count] ?? 2,
      parties: state.parties.map((party) => ({ ...party, hasShare: false })),
      messages: [],
      run: initialRun,
    }));
    void this.cast.introduce();
  }

  /** One click: a new key, and a signature of the message with it. */
  async makeKeyAndSign(message: string): Promise<void> {
    const startedAt = performance.now();
    this.#store.update((state) => ({
      ...state,
      messages: [],
      parties: state.parties.map((party) => ({ ...party, hasShare: false })),
      run: { ...initialRun, stage: "keygen", message },
    }));
    await this.#perform(async () => {
      await this.#makeKey();
      await this.#sign(message);
      this.#run({ tookMs: performance.now() - startedAt });
    });
  }

  /** Another signature with the key that is there. */
  async signAgain(message: string): Promise<void> {
    const startedAt = performance.now();
    await this.#perform(async () => {
      await this.#sign(message);
      this.#run({ tookMs: performance.now() - startedAt });
    });
  }

  /** Ends the session that is under way. */
  stop(): void {
    this.#givenUp?.reject(new GivenUp("Stopped."));
  }

  get #state(): State {
    return this.#store.state;
  }

  #run(change: Partial<RunState>): void {
    this.#store.update(withRun(change));
  }

  async #perform(work: () => Promise<void>): Promise<void> {
    this.#givenUp = Promise.withResolvers();
    this.#givenUp.promise.catch(() => undefined);
    try {
      await work();
    } catch (error) {
      const failure = error instanceof Error ? error.message : String(error);
      this.#run({ stage: "failed", failure, progress: "" });
      if (!(error instanceof GivenUp)) this.#store.update(withLog(failure, "bad"));
    } finally {
      this.#givenUp = undefined;
    }
  }

  async #makeKey(): Promise<void> {
    const { parties, thresholdT } = this.#state;
    const selectedParties = parties.map((party) => party.id);
    const keygenSessionId = await this.#ordered({
      sessionType: "keygen",
      thresholdN: parties.length,
      thresholdT,
      selectedParties,
    });
    this.#run({ keygenSessionId });
    this.#store.update(withLog(`Key generation begins, ${thresholdT} of ${parties.length}.`));
    const session = await this.#completed(keygenSessionId);
    this.#run({ publicKey: hexOfBase64(session.publicKey) });
    for (const { id } of parties) {
      this.#store.update(withParty(id, { hasShare: true, activity: "Holds its share" }));
    }
    this.#store.update(withLog("All parties agree on the public key.", "good"));
  }

  async #sign(message: string): Promise<void> {
    const { parties, thresholdT, run } = this.#state;
    const { keygenSessionId = "", publicKey = "" } = run;
    const signers = pickSigners(parties, thresholdT, this.#signatures++);
    const hash = await hashOf(message);
    this.#run({ ...cleared, stage: "sign", message, signers, signSessionId: undefined });
    const signSessionId = await this.#ordered({
      sessionType: "sign",
      thresholdN: parties.length,
      thresholdT,
      selectedParties: signers,
      messageHash: base64Of(hash),
      keygenSessionId,
    });
    this.#run({ signSessionId });
    for (const id of signers) {
      const approval = { sessionId: signSessionId, messageHash: hexOf(hash), keygenSessionId };
      this.cast.handle(id)?.tell({ kind: "approve", ...approval });
    }
    this.#store.update(withLog(`${namesOf(this.#state, signers)} sign.`));
    const session = await this.#completed(signSessionId);
    const signature = hexOfBase64(session.signature);
    const isVerified = await isSignature({ messageHash: hexOf(hash), publicKey, signature });
    this.#run({ stage: "done", signature, isVerified, progress: "" });
    for (const id of signers) this.#store.update(withParty(id, { activity: "Has signed" }));
    const text = isVerified ? "The signature verifies." : "The signature does NOT verify.";
    this.#store.update(withLog(text, isVerified ? "good" : "bad"));
  }

  /** Creates a session. Given up meanwhile, it is cancelled as soon as it is there. */
  async #ordered(order: NewSession): Promise<string> {
    const creating = this.#api.createSession(order);
    try {
      return await this.#unlessGivenUp(creating);
    } catch (error) {
      if (error instanceof GivenUp) void creating.then((sessionId) => this.#cancel(sessionId));
      throw error;
    }
  }

  /** Resolves with the session once it is completed; rejects when it ends otherwise, or is given up. */
  async #completed(sessionId: string): Promise<SessionView> {
    try {
      return await this.#unlessGivenUp(this.#watched(sessionId));
    } catch (error) {
      if (error instanceof GivenUp) void this.#cancel(sessionId);
      throw error;
    } finally {
      this.cast.dropWants(sessionId);
    }
  }

  async #unlessGivenUp<T>(promise: Promise<T>): Promise<T> {
    return this.#givenUp === undefined ? promise : Promise.race([promise, this.#givenUp.promise]);
  }

  async #cancel(sessionId: string): Promise<void> {
    // One that has ended by itself meanwhile is as good.
    await this.#api.cancel(sessionId, "given up").catch(() => undefined);
  }

  async #watched(sessionId: string): Promise<SessionView> {
    for (;;) {
      const session = await this.#api.session(sessionId);
      this.#noteProgress(session);
      if (session.status === "completed") return session;
      if (session.status === "failed" || session.status === "expired") {
        throw new Error(`The session has ${session.status}. ${session.failureReason}`.trim());
      }
      await Promise.race([pause(sessionPollMs), this.#bell.promise]);
    }
  }

  #noteProgress(session: SessionView): void {
    const { sessionId } = session;
    const missing = session.parties.filter((party) => party.state === "selected");
    const ids = missing.map((party) => party.partyId);
    const isWaiting = session.status === "created" && missing.length > 0;
    const isAsked = this.#state.run.stage === "sign" && !ids.some((id) => this.cast.has(id));
    const what = isAsked ? "to allow it, where it runs" : "to join";
    const { keygenSessionId, signSessionId } = this.#state.run;
    if (sessionId !== keygenSessionId && sessionId !== signSessionId) return;
    const progress = isWaiting ? `Waits for ${namesOf(this.#state, ids)} ${what}.` : "";
    if (this.#state.run.progress === progress) return;
    this.#run({ progress });
    for (const id of isAsked ? ids : []) {
      this.#store.update(withParty(id, { activity: "Is asked to allow the signature" }));
    }
  }

  #hear(partyId: string, news: News): void {
    if (news.kind === "finished") {
      this.#bell.resolve();
      this.#bell = Promise.withResolvers();
    }
    if (news.kind !== "refused") return;
    const message = this.#state.messages.find(({ id }) => id === news.messageId);
    const from = message === undefined ? "a" : `${namesOf(this.#state, [message.from])}'s`;
    const text =
      `${namesOf(this.#state, [partyId])} noticed that ${from} message was changed on its way, and refused it. ` +
      "Nothing was signed with it.";
    this.#givenUp?.reject(new GivenUp(text));
  }
}

const cleared = {
  signature: undefined,
  isVerified: undefined,
  failure: undefined,
  tookMs: undefined,
} as const;
