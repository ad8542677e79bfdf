import { setTimeout as sleep } from "node:timers/promises";
import type { MPCMessage } from "../../../gen/mpc/router/v1/message_router_pb.js";
import type { FlakyProxy } from "../../support/flaky-proxy.ts";
import type { Acknowledgement } from "../audit/record.ts";
import { between, type Random } from "../draws.ts";
import { rest } from "../rest.ts";
import type { AuditedParty } from "./audited-party.ts";

const mostTries = 60;

/** How a party gets its mail: by streams that it closes now and then, by polls, by both in turn, or not before the end. */
export type Habit = "stream" | "poll" | "both" | "late";

export interface ReaderOptions {
  readonly party: AuditedParty;
  readonly habit: Habit;
  /** Between the party and its routers, so that it can vanish without a word. */
  readonly proxy?: FlakyProxy | undefined;
  /** Acknowledges everything at once, and keeps its streams. */
  readonly isPlain?: boolean;
}

/** What a party does with a message that it got. */
type Plan = "acknowledge" | "late" | "twice" | "skip" | "refuse" | "refuse for good";

/** Gets a party's mail and says what became of it: at once, late, twice, not at all, or no. */
export class Reader {
  readonly #options: ReaderOptions;
  readonly #random: Random;
  readonly #seen = new Set<string>();
  readonly #underWay = new Set<Promise<void>>();

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#random = options.party.place.random;
  }

  /** Resolves after the signal, when everything that was begun is answered. */
  async readUntil(signal: AbortSignal): Promise<void> {
    const { habit } = this.#options;
    while (!signal.aborted) {
      if (habit === "late") await rest(60_000, signal);
      if (habit === "stream" || habit === "both") await this.#stream(signal);
      if (habit === "poll" || habit === "both") await this.#poll();
      await rest(between(this.#random, 20, 300), signal);
    }
    await Promise.all(this.#underWay);
  }

  /** Fetches and acknowledges until nothing waits any more. Resolves with whether that was reached. */
  async drain(): Promise<boolean> {
    for (let tries = 0; tries < mostTries; tries += 1) {
      const messages = await this.#options.party.poll();
      if (messages === undefined) await sleep(200);
      else if (messages.length === 0) return true;
      for (const { messageId } of messages ?? []) await this.#insist(messageId, "processed");
    }
    return false;
  }

  async #stream(signal: AbortSignal): Promise<void> {
    const { party, proxy, isPlain = false } = this.#options;
    const leaving = new AbortController();
    const limited = AbortSignal.any([signal, leaving.signal]);
    const reading = party.read(limited, (message) => this.#handle(message));
    const stayMs = isPlain ? Infinity : between(this.#random, 500, 6_000);
    await Promise.race([reading, stayMs === Infinity ? reading : rest(stayMs, limited)]);
    // Nothing more of its connections reaches the router, not even that they are closed.
    if (this.#random() < 0.5) proxy?.deafen();
    leaving.abort();
    await reading;
  }

  async #poll(): Promise<void> {
    for (const message of (await this.#options.party.poll()) ?? []) this.#handle(message);
  }

  #handle({ messageId }: MPCMessage): void {
    const isNew = !this.#seen.has(messageId);
    this.#seen.add(messageId);
    const plan = isNew && this.#options.isPlain !== true ? this.#draw() : "acknowledge";
    const done = this.#carryOut(plan, messageId).finally(() => this.#underWay.delete(done));
    this.#underWay.add(done);
  }

  #draw(): Plan {
    const drawn = this.#random();
    if (drawn < 0.55) return "acknowledge";
    if (drawn < 0.65) return "late";
    if (drawn < 0.75) return "twice";
    if (drawn < 0.88) return "skip";
    return drawn < 0.98 ? "refuse" : "refuse for good";
  }

  async #carryOut(plan: Plan, messageId: string): Promise<void> {
    switch (plan) {
      case "acknowledge":
        return this.#insist(messageId, "processed");
      case "late":
        await sleep(between(this.#random, 500, 4_000));
        return this.#insist(messageId, "processed");
      case "twice":
        await Promise.all([
          this.#insist(messageId, "processed"),
          this.#insist(messageId, "processed"),
        ]);
        return;
      case "skip":
        return;
      case "refuse":
        return this.#insist(messageId, "refused");
      case "refuse for good":
        return this.#insist(messageId, "permanent");
    }
  }

  async #insist(messageId: string, verdict: Acknowledgement["verdict"]): Promise<void> {
    const { party } = this.#options;
    for (let tries = 0; tries < mostTries; tries += 1) {
      const end = await party.acknowledge(messageId, verdict);
      if (end.outcome !== "unknown") break;
      await sleep(between(this.#random, 50, 400));
    }
    if (this.#random() < 0.15) await party.status(messageId);
  }
}
