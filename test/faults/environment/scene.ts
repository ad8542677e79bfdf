import assert from "node:assert/strict";
import { createClient, ConnectError, Code, type Client } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { SessionCoordinator } from "../../../gen/mpc/coordinator/v1/coordinator_pb.js";
import { MessageRouter, type MPCMessage } from "../../../gen/mpc/router/v1/message_router_pb.js";
import { startLagMeter } from "../../integration/process/lag-meter.ts";
import { openSession, read, type Reader, type TestSession } from "../../support/sessions.ts";
import { until } from "../../support/until.ts";

/** The forms that take minutes instead of seconds. */
export const isLong: boolean = process.env["FAULTS_LONG"] === "1";

/** 3 s by what is promised while the broker is away; the rest is for a busy machine. */
const answerLimitMs = 4_000;

/** How a call ended, and when. */
export interface Outcome {
  /** `OK`, or the name of the code. */
  readonly code: string;
  readonly message: string;
  /** Without the time in which a busy machine ran nobody. */
  readonly tookMs: number;
  readonly saysWhenToRetry: boolean;
}

export async function outcomeOf(call: () => Promise<unknown>): Promise<Outcome> {
  const startedAt = performance.now();
  using meter = startLagMeter();
  const ended = (error?: ConnectError): Outcome => ({
    code: error === undefined ? "OK" : Code[error.code],
    message: error?.rawMessage ?? "",
    tookMs: performance.now() - startedAt - meter.lagMs(),
    saysWhenToRetry: error?.findDetails(RetryInfoSchema)[0]?.retryDelay !== undefined,
  });
  try {
    await call();
    return ended();
  } catch (error) {
    return ended(ConnectError.from(error));
  }
}

const passing = [Code[Code.Unavailable], Code[Code.ResourceExhausted]];

/** A call that a fault lets fail: told so in time, and when to come back. */
export function isRefusedForNow(outcome: Outcome): boolean {
  return passing.includes(outcome.code) && outcome.saysWhenToRetry;
}

/** Under a fault a call is answered, refused for its own reasons, or refused for now; in time, whatever the answer. */
export function assertHonest(what: string, outcome: Outcome): void {
  const { code, message, tookMs } = outcome;
  assert.ok(tookMs < answerLimitMs, `${what} took ${Math.round(tookMs)} ms`);
  const isPassing = passing.includes(code);
  assert.ok(!isPassing || outcome.saysWhenToRetry, `${what}: ${message} without a RetryInfo`);
  const bad = [Code.Internal, Code.Unknown, Code.DataLoss, Code.DeadlineExceeded];
  assert.ok(!bad.some((wrong) => Code[wrong] === code), `${what}: ${code} ${message}`);
}

/** As a client does that is refused for now. */
async function retried<T>(call: () => Promise<T>): Promise<T> {
  let answer: { readonly value: T } | undefined;
  await until(
    "the call is answered",
    async () => {
      const outcome = await outcomeOf(async () => {
        answer = { value: await call() };
      });
      if (!isRefusedForNow(outcome)) assert.equal(outcome.code, "OK", outcome.message);
      return answer !== undefined;
    },
    30_000,
  );
  if (answer === undefined) throw new Error("no answer");
  return answer.value;
}

export interface Scene {
  readonly session: TestSession;
  readonly sessionId: string;
  /** Who sends, and who receives. */
  readonly sender: string;
  readonly reader: string;
  /** Ids of all messages whose RouteMessage was answered OK. */
  readonly accepted: readonly string[];
  route(payload?: Uint8Array): Promise<Outcome>;
  /** Resolves when a message was accepted, with its id. */
  routed(limitMs?: number): Promise<string>;
  acknowledge(messageId: string): Promise<void>;
  /** Ids of all that waits, page by page, acknowledging nothing. What was refused with outcome unknown may be among them. */
  pending(): Promise<readonly string[]>;
  /** All that was accepted waits, in its order, but for the messages named. */
  assertKept(...acknowledged: readonly string[]): Promise<void>;
  subscribe(): Reader<MPCMessage>;
}

export interface SceneClients {
  readonly router: Client<typeof MessageRouter>;
  readonly coordinator: Client<typeof SessionCoordinator>;
}

export function clientsAt(baseUrl: string): SceneClients {
  const transport = createGrpcTransport({ baseUrl });
  return {
    router: createClient(MessageRouter, transport),
    coordinator: createClient(SessionCoordinator, transport),
  };
}

/** A running session whose first party sends to its second, and a book of what was accepted. */
export async function openScene(clients: SceneClients): Promise<Scene> {
  const session = await retried(() => openSession(clients, { ready: true }));
  return sceneOf(clients, session);
}

/** The same session by way of other clients. */
export function sceneOf({ router }: SceneClients, session: TestSession): Scene {
  const { sessionId, parties } = session;
  const [sender = "", reader = ""] = parties;
  const accepted: string[] = [];
  const route = (payload = new Uint8Array(32)): Promise<Outcome> =>
    outcomeOf(async () => {
      const call = { sessionId, fromParty: sender, toParties: [reader], payload };
      accepted.push((await router.routeMessage(call)).messageId);
    });
  const pending = async (): Promise<readonly string[]> => {
    const ids = new Set<string>();
    let afterTimestamp = 0n;
    for (;;) {
      const call = { sessionId, partyId: reader, afterTimestamp };
      const { messages } = await retried(() => router.getPendingMessages(call));
      if (messages.length === 0) return [...ids];
      for (const { messageId, createdAt } of messages) {
        ids.add(messageId);
        // A message that was stored by a second try is older than the one before it.
        if (createdAt > afterTimestamp) afterTimestamp = createdAt;
      }
    }
  };
  return {
    session,
    sessionId,
    sender,
    reader,
    accepted,
    route,
    async routed(limitMs = 20_000) {
      await until("a message is accepted", async () => (await route()).code === "OK", limitMs);
      return accepted.at(-1) ?? "";
    },
    async acknowledge(messageId) {
      await router.acknowledgeMessage({ sessionId, partyId: reader, messageId, success: true });
    },
    pending,
    async assertKept(...acknowledged) {
      const waiting = await pending();
      assert.deepEqual(
        waiting.filter((id) => accepted.includes(id)),
        accepted.filter((id) => !acknowledged.includes(id)),
      );
    },
    subscribe: () =>
      read((signal) => router.subscribeMessages({ sessionId, partyId: reader }, { signal })),
  };
}
