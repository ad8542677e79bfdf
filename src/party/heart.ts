import type { CallOptions } from "@connectrpc/connect";
import type { Inbox } from "./inbox.ts";
import { isPartyError, partyErrorOf } from "./party-error.ts";
import type { HeartbeatAnswer } from "./party.ts";
import { backOff, pause } from "./pause.ts";
import type { RouterLink } from "./router-link.ts";

/** How long a stream is given to bring what a heartbeat reports, in milliseconds. */
const bringMs = 2_000;

/** A heartbeat that is late by that much, in milliseconds, tells that the machine slept. */
const sleptMs = 10_000;

export interface HeartOptions {
  readonly partyId: string;
  readonly heartbeatMs: number;
  readonly inboxes: () => readonly Inbox[];
  /** Registers the party again, should the router not know it any more. */
  readonly register: (signal: AbortSignal) => Promise<void>;
  /** Opens all streams anew. */
  readonly reopen: () => void;
  readonly signal: AbortSignal;
}

/** Signs of life at regular times, and what their answers tell: mail that a stream should have brought. */
export class Heart {
  readonly #link: RouterLink;
  readonly #options: HeartOptions;
  readonly #beating: Promise<void>;
  /** Mail that is pending in sessions nobody reads here. */
  #elsewhere = 0;

  constructor(link: RouterLink, options: HeartOptions) {
    this.#link = link;
    this.#options = options;
    // It ends by the signal only.
    this.#beating = this.#run().catch(() => undefined);
  }

  /** One sign of life, repeated through outages. */
  async beat(signal: AbortSignal): Promise<HeartbeatAnswer> {
    for (let tries = 0; ; tries++) {
      try {
        return await this.#link.call((options) => this.#ask(options), { signal });
      } catch (error) {
        if (!isPartyError(error, "PARTY_NOT_FOUND")) throw error;
      }
      await this.#options.register(signal);
      await backOff(tries, signal);
    }
  }

  /** Resolves when the last heartbeat is over, after the signal has fired. */
  async stopped(): Promise<void> {
    await this.#beating;
  }

  async #run(): Promise<void> {
    const { heartbeatMs, signal, reopen } = this.#options;
    for (let failures = 0; ;) {
      const dueAt = Date.now() + heartbeatMs;
      await (failures === 0 ? pause(heartbeatMs, signal) : backOff(failures, signal));
      const hasSlept = Date.now() > dueAt + sleptMs;
      const answer = await this.#tryBeat();
      if (answer === undefined) {
        failures++;
        continue;
      }
      // The connection of a stream may have died with the call's, and nothing says so to a reader.
      if (failures > 0 || hasSlept) reopen();
      failures = 0;
      await this.#lookFor(answer.pendingMessages);
    }
  }

  /** `undefined`: no answer came. */
  async #tryBeat(): Promise<HeartbeatAnswer | undefined> {
    const { signal, register } = this.#options;
    try {
      return await this.#link.attempt((options) => this.#ask(options), { signal });
    } catch (error) {
      if (signal.aborted) throw error;
      if (!isPartyError(error, "PARTY_NOT_FOUND")) return this.#answerWithout(error);
    }
    await register(signal);
    return this.#noNews();
  }

  /** A refusal is an answer too: the connection is alive. */
  #answerWithout(error: unknown): HeartbeatAnswer | undefined {
    const { isFinal, reason } = partyErrorOf(error);
    const isRefusal = isFinal || reason === "BROKER_UNAVAILABLE" || reason === "SHUTTING_DOWN";
    return isRefusal ? this.#noNews() : undefined;
  }

  #noNews(): HeartbeatAnswer {
    return { pendingMessages: 0, serverTimestamp: Date.now() };
  }

  /** Opens streams anew that do not bring what the router says is pending. */
  async #lookFor(pendingMessages: number): Promise<void> {
    const { signal, inboxes } = this.#options;
    if (!this.#isMissing(pendingMessages)) return;
    const before = this.#arrivals();
    await pause(bringMs, signal);
    if (this.#arrivals() !== before) return;
    const again = await this.#tryBeat();
    if (again === undefined || !this.#isMissing(again.pendingMessages)) return;
    const waitingBefore = performance.now() - bringMs;
    for (const inbox of inboxes()) {
      if ((inbox.waitingSince ?? Infinity) <= waitingBefore) inbox.reopen();
    }
    await pause(bringMs, signal);
    // What streams that were just opened do not bring is not for them.
    if (this.#arrivals() === before) this.#elsewhere = again.pendingMessages - this.#held();
  }

  #isMissing(pendingMessages: number): boolean {
    const missing = pendingMessages - this.#held();
    this.#elsewhere = Math.max(0, Math.min(this.#elsewhere, missing));
    const isAwaited = this.#options.inboxes().some((inbox) => inbox.waitingSince !== undefined);
    return isAwaited && missing > this.#elsewhere;
  }

  #held(): number {
    return this.#options.inboxes().reduce((sum, inbox) => sum + inbox.heldCount, 0);
  }

  #arrivals(): number {
    return this.#options.inboxes().reduce((sum, inbox) => sum + inbox.arrivals, 0);
  }

  async #ask(options: CallOptions): Promise<HeartbeatAnswer> {
    const { partyId } = this.#options;
    const request = { partyId, timestamp: BigInt(Date.now()) };
    const answer = await this.#link.api.heartbeat(request, options);
    const { pendingMessages, serverTimestamp } = answer;
    return { pendingMessages, serverTimestamp: Number(serverTimestamp) };
  }
}
