import { randomBytes } from "node:crypto";
import type { PartyFaults } from "../../src/party/index.ts";
import type { Issuer } from "./issuer.ts";
import type { Finished, FromParty, Protocol } from "./party-messages.ts";
import { PartyProcess } from "./party-process.ts";
import type { Story } from "./story.ts";
import { Tally, type Traffic } from "./tally.ts";
import { isVerified } from "./verification.ts";
import { Wallet } from "./wallet.ts";

const threshold = { n: 3, t: 2 } as const;

const cast: readonly { readonly name: string; readonly protocol: Protocol }[] = [
  { name: "alice", protocol: "grpc" },
  { name: "bob", protocol: "grpc-web" },
  { name: "carol", protocol: "connect-json" },
];

export interface CeremonySettings {
  readonly url: string;
  /** Undefined where the router wants no credentials. */
  readonly issuer: Issuer | undefined;
  readonly runs: number;
  readonly pauseMs: number;
}

/** One key and one signature with it; bytes in hex. */
export interface RunResult {
  readonly keygenSessionId: string;
  readonly signSessionId: string;
  readonly signers: readonly string[];
  readonly publicKey: string;
  readonly messageHash: string;
  readonly signature: string;
  readonly verified: boolean;
}

export interface CeremonyResult {
  readonly runs: readonly RunResult[];
  readonly parties: readonly {
    readonly partyId: string;
    readonly protocol: Protocol;
    readonly faults: PartyFaults;
  }[];
  readonly traffic: Traffic;
}

/** The wallet backend and its three parties. The signal carries the deadline; its reason then says who waits. */
export class Ceremony implements AsyncDisposable {
  readonly #settings: CeremonySettings;
  readonly #story: Story;
  readonly #signal: AbortSignal;
  readonly #wallet: Wallet;
  readonly #tally = new Tally();
  readonly #parties: readonly PartyProcess[];
  readonly #faults = new Map<string, PartyFaults>();

  constructor(settings: CeremonySettings, story: Story, signal: AbortSignal) {
    this.#settings = settings;
    this.#story = story;
    this.#signal = signal;
    const { url, pauseMs, issuer } = settings;
    const token = issuer && (() => issuer.coordinator());
    this.#wallet = new Wallet({ url, threshold, signal, token });
    // Registrations outlive a ceremony, so each has parties of its own.
    const suffix = randomBytes(4).toString("hex");
    this.#parties = cast.map(({ name, protocol }) => {
      const party = { url, pauseMs, protocol, partyId: `${name}-${suffix}` };
      return new PartyProcess(party, (news) => this.#hear(party.partyId, news));
    });
  }

  /** One line a party: what it does, and whom it waits for. */
  states(): readonly string[] {
    return this.#parties.map((party) => `${party.settings.partyId} ${party.state}`);
  }

  async run(): Promise<CeremonyResult> {
    const failure = Promise.race(this.#parties.map(async (party) => party.failure()));
    const stopped = Promise.withResolvers<never>();
    const onAbort = (): void => stopped.reject(this.#signal.reason);
    this.#signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await Promise.race([this.#perform(), failure, stopped.promise]);
    } finally {
      this.#signal.removeEventListener("abort", onAbort);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#parties.map(async (party) => party[Symbol.asyncDispose]()));
  }

  async #perform(): Promise<CeremonyResult> {
    await this.#introduce();
    this.#story.parties(this.#parties.map((party) => party.settings));
    const runs: RunResult[] = [];
    for (let i = 0; i < this.#settings.runs; i++) runs.push(await this.#once(i));
    const result: CeremonyResult = {
      runs,
      parties: this.#parties.map(({ settings: { partyId, protocol } }) => {
        const faults = this.#faults.get(partyId);
        return { partyId, protocol, faults: faults ?? noFaults };
      }),
      traffic: this.#tally.traffic(),
    };
    this.#story.end(result);
    return result;
  }

  /** Hands every party the identity keys of all, so that the router need not be trusted with them. */
  async #introduce(): Promise<void> {
    const keys = await Promise.all(
      this.#parties.map(async (party) => [party.settings.partyId, await party.up()] as const),
    );
    const introductions = this.#parties.map(async (party) => {
      const token = await this.#settings.issuer?.party(party.settings.partyId);
      const registered = party.registered();
      party.tell({ kind: "peers", keys: Object.fromEntries(keys), token });
      await registered;
    });
    await Promise.all(introductions);
  }

  async #once(index: number): Promise<RunResult> {
    const ids = this.#parties.map((party) => party.settings.partyId);
    const keygenSessionId = await this.#wallet.create({ type: "keygen", parties: ids });
    this.#story.session("keygen", keygenSessionId, ids);
    const publicKey = await this.#agreed(keygenSessionId, this.#parties);
    this.#story.key(publicKey);

    // Another pair each time, also such that start with the highest index.
    const pair = [index % threshold.n, (index + 1) % threshold.n];
    const signers = pair.flatMap((position) => this.#parties[position] ?? []);
    const messageHash = randomBytes(32);
    await this.#approve(signers, messageHash.toString("hex"), keygenSessionId);
    const parties = signers.map((party) => party.settings.partyId);
    const order = { type: "sign", parties, keygenSessionId, messageHash } as const;
    const signSessionId = await this.#wallet.create(order);
    this.#story.session("sign", signSessionId, parties);
    const signature = await this.#agreed(signSessionId, signers);

    const verified = isVerified({
      signature: Buffer.from(signature, "hex"),
      messageHash,
      publicKey: Buffer.from(publicKey, "hex"),
    });
    const result = { publicKey, messageHash: messageHash.toString("hex"), signature, verified };
    this.#story.signature(result);
    return { keygenSessionId, signSessionId, signers: parties, ...result };
  }

  async #approve(
    signers: readonly PartyProcess[],
    messageHash: string,
    keygenSessionId: string,
  ): Promise<void> {
    const approvals = signers.map(async (party) => party.approved(messageHash));
    for (const party of signers) party.tell({ kind: "approve", messageHash, keygenSessionId });
    await Promise.all(approvals);
  }

  /** The result that every party of the session reports to us, and the router shows (hex). */
  async #agreed(sessionId: string, parties: readonly PartyProcess[]): Promise<string> {
    const finished = parties.map(async (party) => party.finished(sessionId));
    const [session, ...reports] = await Promise.all([
      this.#wallet.completed(sessionId),
      ...finished,
    ]);
    const shown = session.sessionType === "keygen" ? session.publicKey : session.signature;
    const result = Buffer.from(shown).toString("hex");
    parties.forEach((party, i) => {
      const report: Finished | undefined = reports[i];
      const seat = session.parties.find((one) => one.partyId === party.settings.partyId);
      if (report?.result !== result)
        throw new Error(`${party.settings.partyId} has another result`);
      if (report.partyIndex !== seat?.partyIndex) {
        throw new Error(`${party.settings.partyId} sits at another index than the router shows`);
      }
    });
    return result;
  }

  #hear(partyId: string, news: FromParty): void {
    this.#tally.note(news);
    if (news.kind === "finished") this.#faults.set(partyId, news.faults);
    if (news.kind === "round") this.#story.round(partyId, news);
  }
}

const noFaults: PartyFaults = { retries: 0, reconnects: 0, duplicates: 0, missedEvents: 0 };
