import { randomUUID } from "node:crypto";
import { createClient, type Client } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { SessionCoordinator } from "../../../gen/mpc/coordinator/v1/coordinator_pb.js";
import { MessageRouter } from "../../../gen/mpc/router/v1/message_router_pb.js";
import { startFlakyProxy, type FlakyProxy } from "../../support/flaky-proxy.ts";
import { until } from "../../support/until.ts";
import type { Recorder } from "../audit/recorder.ts";
import { drawsOf, pick, type Random } from "../draws.ts";
import { rest } from "../rest.ts";
import { AuditedParty } from "./audited-party.ts";
import { EndWatch } from "./end-watch.ts";
import { insist } from "./insist.ts";
import { Reader, type Habit } from "./reader.ts";
import { sendUntil } from "./sender.ts";

export interface SessionPlan {
  readonly recorder: Recorder;
  readonly urls: readonly string[];
  readonly seed: number;
  /** Draws of its own follow from it. */
  readonly name: string;
  /** One party each. */
  readonly habits: readonly Habit[];
  readonly isPlain?: boolean;
  /** How many of the parties send; default all. */
  readonly senders?: number;
  /** Between two messages of a party, on average. */
  readonly pauseMs: number;
  readonly expiresInMs?: number;
}

interface Seat {
  readonly party: AuditedParty;
  readonly reader: Reader;
}

const mostStatuses = 50;

/** One session of the workload, from its creation to its end. */
export class AuditedSession implements AsyncDisposable {
  readonly sessionId: string;
  readonly #plan: SessionPlan;
  readonly #random: Random;
  readonly #seats: readonly Seat[];
  readonly #watch: EndWatch;
  readonly #watching: Promise<void>;
  readonly #resources: AsyncDisposableStack;
  readonly #accepted: string[] = [];
  readonly #stop = new AbortController();

  private constructor(sessionId: string, plan: SessionPlan, made: Made) {
    this.sessionId = sessionId;
    this.#plan = plan;
    this.#random = drawsOf(plan.seed, plan.name);
    this.#seats = made.seats;
    this.#resources = made.resources;
    const [first] = made.seats;
    const partyId = first?.party.place.partyId ?? "";
    this.#watch = new EndWatch({ urls: plan.urls, random: this.#random, partyId });
    this.#watching = this.#watch.watchUntil(this.#stop.signal);
  }

  /** Creates it; all its parties are registered, have joined and are ready. */
  static async open(plan: SessionPlan): Promise<AuditedSession> {
    const { router, coordinator } = clientsOf(plan);
    const ids = plan.habits.map(() => `p-${randomUUID().slice(0, 8)}`);
    for (const partyId of ids) {
      const request = { partyId, partyRole: "persistent" };
      await insist((timeoutMs) => router.registerParty(request, { timeoutMs }));
    }
    const order = {
      requestId: randomUUID(),
      sessionType: "keygen",
      thresholdN: ids.length,
      thresholdT: 2,
      selectedParties: ids,
      expiresInMs: BigInt(plan.expiresInMs ?? 600_000),
    };
    const { session, joinTokens } = await insist((timeoutMs) =>
      coordinator.createSession(order, { timeoutMs }),
    );
    const sessionId = session?.sessionId ?? "";
    for (const partyId of ids) {
      const request = { sessionId, partyId, joinToken: joinTokens[partyId] ?? "" };
      await insist((timeoutMs) => router.joinSession(request, { timeoutMs }));
      await insist((timeoutMs) => router.markPartyReady({ sessionId, partyId }, { timeoutMs }));
    }
    return new AuditedSession(sessionId, plan, await seatsOf(sessionId, ids, plan));
  }

  get partyIds(): readonly string[] {
    return this.#seats.map(({ party }) => party.place.partyId);
  }

  /** Sends and asks for statuses until the signal fires. */
  async sendUntil(signal: AbortSignal): Promise<void> {
    const senders = this.#seats.slice(0, this.#plan.senders);
    const sending = senders.map(({ party }) => {
      const peers = this.partyIds.filter((id) => id !== party.place.partyId);
      const onAccepted = (messageId: string): void => void this.#accepted.push(messageId);
      return sendUntil({ party, peers, pauseMs: this.#plan.pauseMs, onAccepted }, signal);
    });
    await Promise.all([...sending, this.#askUntil(signal)]);
  }

  async readUntil(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#seats.map(({ reader }) => reader.readUntil(signal)));
  }

  /** Takes all that waits, looks that nothing comes after it, and asks what became of the newest messages. */
  async drain(): Promise<void> {
    await Promise.all(this.#seats.map(({ reader }) => reader.drain()));
    const quiet = AbortSignal.timeout(500);
    await Promise.all(this.#seats.map(({ party }) => party.read(quiet, () => undefined)));
    const [asker] = this.#seats;
    for (const messageId of this.#accepted.slice(-mostStatuses)) {
      await asker?.party.status(messageId);
    }
  }

  /** Brings it to an end in one way or the other, and notes how it reads then. */
  async end(way: "complete" | "cancel" | "expire"): Promise<void> {
    const { sessionId } = this;
    const { router, coordinator } = clientsOf(this.#plan);
    if (way === "cancel") {
      await insist((timeoutMs) => coordinator.cancelSession({ sessionId }, { timeoutMs }));
    }
    for (const partyId of way === "complete" ? this.partyIds : []) {
      const report = { sessionId, partyId, publicKey: new Uint8Array(32).fill(7) };
      await insist((timeoutMs) => router.reportCompletion(report, { timeoutMs }));
    }
    const hasEnded = async (): Promise<boolean> => this.#watch.endsOf(sessionId).length > 0;
    // The audit says what is wrong where none comes.
    await until("an event tells of the end", hasEnded, 15_000).catch(() => undefined);
    const { session } = await insist((timeoutMs) =>
      coordinator.getSession({ sessionId }, { timeoutMs }),
    );
    // One more event may follow by mistake.
    await rest(300, this.#stop.signal);
    const terminalEvents = this.#watch.endsOf(sessionId);
    const status = session?.status ?? "unknown";
    this.#plan.recorder.note({ kind: "session", sessionId, status, terminalEvents });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#watching;
    await this.#resources.disposeAsync();
  }

  async #askUntil(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await rest(this.#plan.pauseMs, signal);
      const newest = this.#accepted.slice(-20);
      if (newest.length === 0) continue;
      const { party } = pick(this.#random, this.#seats);
      await party.status(pick(this.#random, newest));
    }
  }
}

interface Made {
  readonly seats: readonly Seat[];
  readonly resources: AsyncDisposableStack;
}

async function seatsOf(
  sessionId: string,
  ids: readonly string[],
  plan: SessionPlan,
): Promise<Made> {
  await using resources = new AsyncDisposableStack();
  const { recorder, seed, name, isPlain = false } = plan;
  const seats: Seat[] = [];
  for (const [index, partyId] of ids.entries()) {
    const habit = plan.habits[index] ?? "stream";
    const random = drawsOf(seed, `${name} ${index}`);
    let proxy: FlakyProxy | undefined;
    if (habit === "both") {
      const ports = plan.urls.map((url) => Number(new URL(url).port));
      proxy = resources.use(await startFlakyProxy(...ports));
    }
    const urls = proxy === undefined ? plan.urls : [proxy.url];
    const party = new AuditedParty({ recorder, random, urls, sessionId, partyId });
    seats.push({ party, reader: new Reader({ party, habit, proxy, isPlain }) });
  }
  return { seats, resources: resources.move() };
}

function clientsOf({ urls }: Pick<SessionPlan, "urls">): {
  router: Client<typeof MessageRouter>;
  coordinator: Client<typeof SessionCoordinator>;
} {
  const transports = urls.map((baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" }));
  const [first, last = first] = transports;
  if (first === undefined || last === undefined) throw new Error("there is no router");
  return {
    router: createClient(MessageRouter, first),
    coordinator: createClient(SessionCoordinator, last),
  };
}
