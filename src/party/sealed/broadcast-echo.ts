import type { SessionParty } from "../party-session.ts";
import { hex, isSame, joined, sha256, utf8 } from "./bytes.ts";
import { SealError, type Difference } from "./seal-error.ts";

/** Type of the messages by which parties tell each other what broadcasts they saw. */
export const echoType = "mpc-router/sealed/echo";

const digestBytes = 32;

/** Rounds that are remembered: more than any protocol has. */
const mostRounds = 1_000;

const entryContext: Uint8Array = utf8("mpc-router/sealed/1 broadcast\0");

interface Round {
  /** Hashes of the broadcasts seen, by sender, in hex. */
  readonly seen: Map<string, string[]>;
  /** What other parties say they saw: a digest of each sender's broadcasts, by index. */
  readonly echoes: Map<string, readonly Uint8Array[]>;
  isConfirmed: boolean;
}

/** The broadcasts of a session as this party and the others saw them. */
export class BroadcastEcho {
  readonly #parties: readonly SessionParty[];
  readonly #partyId: string;
  readonly #rounds = new Map<number, Round>();

  constructor(parties: readonly SessionParty[], partyId: string) {
    this.#parties = parties;
    this.#partyId = partyId;
  }

  /** Takes in a broadcast, this party's own too. Throws when its round was confirmed already. */
  async saw(
    broadcast: { readonly round: number; readonly from: string; readonly headerBytes: Uint8Array },
    body: Uint8Array,
  ): Promise<void> {
    const { round: number, from, headerBytes } = broadcast;
    const hash = hex(await sha256(entryContext, await sha256(headerBytes), body));
    const round = this.#round(number);
    if (round.isConfirmed) {
      const text = `round ${number} was confirmed without this broadcast`;
      throw new SealError("LATE", text, { partyId: from });
    }
    const hashes = round.seen.get(from) ?? [];
    round.seen.set(from, [...hashes, hash]);
  }

  /** Whether a broadcast of each of these was seen in the round. */
  hasSeen(number: number, senders: readonly string[]): boolean {
    const { seen } = this.#round(number);
    return senders.every((sender) => seen.has(sender));
  }

  /** Takes in what another party saw. Its first word counts; to repeat it is fine. */
  heard(number: number, from: string, body: Uint8Array): void {
    if (body.length !== this.#parties.length * digestBytes) {
      throw new SealError("MALFORMED", "the echo has another length", { partyId: from });
    }
    const { echoes } = this.#round(number);
    const before = echoes.get(from);
    if (before !== undefined) {
      if (isSame(joined(...before), body)) return;
      throw new SealError("LATE", "it has echoed otherwise before", { partyId: from });
    }
    const digests = this.#parties.map((_, index) =>
      body.slice(index * digestBytes, (index + 1) * digestBytes),
    );
    echoes.set(from, digests);
  }

  /** What this party saw, for the others. From now on no broadcast of the round is taken in. */
  async confirm(number: number): Promise<Uint8Array> {
    this.#round(number).isConfirmed = true;
    return joined(...(await this.#digests(number)));
  }

  /** Says whether all others saw the same; throws as soon as one did not. */
  async isAgreed(number: number): Promise<boolean> {
    const own = await this.#digests(number);
    const { echoes } = this.#round(number);
    const differences: Difference[] = [];
    for (const [partyId, digests] of echoes) {
      const senders = this.#parties
        .filter((_, index) => !isSame(digests[index] ?? empty, own[index] ?? empty))
        .map((party) => party.partyId);
      if (senders.length > 0) differences.push({ partyId, senders });
    }
    if (differences.length > 0) throw equivocation(number, differences);
    return echoes.size === this.#parties.length - 1;
  }

  async #digests(number: number): Promise<readonly Uint8Array[]> {
    const { seen } = this.#round(number);
    return Promise.all(
      this.#parties.map(({ partyId }) => {
        const hashes = seen.get(partyId) ?? [];
        return sha256(utf8(hashes.toSorted().join("\n")));
      }),
    );
  }

  #round(number: number): Round {
    const known = this.#rounds.get(number);
    if (known !== undefined) return known;
    if (this.#rounds.size >= mostRounds) {
      throw new SealError("TOO_MANY", `more than ${mostRounds} rounds`, {
        partyId: this.#partyId,
      });
    }
    const round: Round = { seen: new Map(), echoes: new Map(), isConfirmed: false };
    this.#rounds.set(number, round);
    return round;
  }
}

const empty: Uint8Array = new Uint8Array();

function equivocation(round: number, differences: readonly Difference[]): SealError {
  const words = differences.map(({ partyId, senders }) => `${partyId} (of ${senders.join(", ")})`);
  const text = `other broadcasts of round ${round} were shown to ${words.join("; ")}`;
  return new SealError("EQUIVOCATION", text, { differences });
}
