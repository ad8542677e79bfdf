import type { CeremonyResult, RunResult } from "./ceremony.ts";
import { protocolNames, type PartySettings } from "./party-messages.ts";

/** Tells what happens, a line each. Nothing secret comes near it. */
export class Story {
  readonly #say: (line: string) => void;
  readonly #startedAt = performance.now();

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  parties(parties: readonly PartySettings[]): void {
    this.#say("Three parties, each a process of its own:");
    for (const { partyId, protocol } of parties) {
      this.#say(`  ${partyId.padEnd(16)} ${protocolNames[protocol]}`);
    }
  }

  session(type: "keygen" | "sign", sessionId: string, parties: readonly string[]): void {
    const what = type === "keygen" ? "Key generation (2-of-3)" : "Signing";
    this.#say(`${what}, session ${sessionId}: ${parties.join(", ")}`);
  }

  round(partyId: string, at: { readonly session: string; readonly round: number }): void {
    const seconds = ((performance.now() - this.#startedAt) / 1_000).toFixed(2);
    this.#say(`  ${seconds.padStart(6)} s  ${partyId}: ${at.session} round ${at.round}`);
  }

  key(publicKey: string): void {
    this.#say(`  public key  ${publicKey}`);
  }

  signature(run: Pick<RunResult, "messageHash" | "signature" | "verified">): void {
    this.#say(`  hash        ${run.messageHash}`);
    this.#say(`  signature   ${run.signature}`);
    this.#say(`  ${run.verified ? "verified" : "NOT VERIFIED"} (Ed25519)`);
  }

  end(result: CeremonyResult): void {
    const { messages, deliveries, bytes, types, hopMs } = result.traffic;
    for (const one of types) {
      const to = one.recipients === 1 ? "to one party" : `to ${one.recipients} parties`;
      this.#say(
        `  ${one.type.padEnd(13)} round ${one.round}: ${one.messages} of ${one.bytes} bytes, ${to}`,
      );
    }
    const total = (pick: "retries" | "reconnects" | "duplicates" | "missedEvents"): number =>
      result.parties.reduce((sum, party) => sum + party.faults[pick], 0);
    this.#say(
      `${count(messages, "message")} in ${deliveries} deliveries, ${bytes} bytes of payload; ` +
        `hop time ${hopMs.median} ms median, ${hopMs.max} ms max.`,
    );
    const [retries, reconnects] = [total("retries"), total("reconnects")];
    const [duplicates, missed] = [total("duplicates"), total("missedEvents")];
    if (retries + reconnects + duplicates + missed > 0) {
      this.#say(
        `Came through: ${retries} calls repeated, ${reconnects} streams reopened, ` +
          `${duplicates} duplicates dropped, ${missed} events missed.`,
      );
    }
  }
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
