import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import type { Fleet } from "./fleet.ts";

export interface TestSession {
  readonly sessionId: string;
  /** Ids of the parties in roster order. */
  readonly parties: readonly string[];
  /** By party id. */
  readonly tokens: Readonly<Record<string, string>>;
}

export interface TestSessionOptions {
  readonly count?: number;
  /** Who joins; by default everybody. */
  readonly joining?: number;
  readonly expiresInMs?: number;
  /** Whether those who joined also say that they are ready. */
  readonly ready?: boolean;
}

/** A keygen session of registered parties with ids of its own. */
export async function openSession(
  fleet: Pick<Fleet, "router" | "coordinator">,
  options: TestSessionOptions = {},
): Promise<TestSession> {
  const { count = 3, joining = count, expiresInMs = 0, ready = false } = options;
  const prefix = randomUUID().slice(0, 8);
  const parties = Array.from({ length: count }, (_, index) => `${prefix}-p${index}`);
  for (const partyId of parties) {
    await fleet.router.registerParty({ partyId, partyRole: "persistent", version: "1" });
  }
  const created = await fleet.coordinator.createSession({
    sessionType: "keygen",
    thresholdN: count,
    thresholdT: 2,
    selectedParties: parties,
    expiresInMs: BigInt(expiresInMs),
  });
  const sessionId = created.session?.sessionId ?? "";
  const session = { sessionId, parties, tokens: created.joinTokens };
  const joiners = parties.slice(0, joining);
  for (const partyId of joiners) await join(fleet, session, partyId);
  if (ready) {
    for (const partyId of joiners) await fleet.router.markPartyReady({ sessionId, partyId });
  }
  return session;
}

export async function join(
  fleet: Pick<Fleet, "router">,
  session: TestSession,
  partyId: string,
): Promise<void> {
  await fleet.router.joinSession({
    sessionId: session.sessionId,
    partyId,
    joinToken: session.tokens[partyId] ?? "",
    deviceInfo: { deviceType: "server", deviceId: "d", platform: "linux", appVersion: "1" },
  });
}

/** The call is refused with this code and this reason, both in the text and in the details. */
export async function refuses(
  call: Promise<unknown>,
  code: Code,
  reason: string,
): Promise<ConnectError> {
  const error = await call.then(
    () => assert.fail(`expected a refusal with ${reason}`),
    (thrown: unknown) => ConnectError.from(thrown),
  );
  const [info] = error.findDetails(ErrorInfoSchema);
  assert.equal(info?.reason, reason, error.message);
  assert.equal(info.domain, "mpc.router");
  assert.equal(Code[error.code], Code[code], error.message);
  assert.ok(error.rawMessage.startsWith(`${reason}: `), error.rawMessage);
  return error;
}

/** A stream being read in the background. */
export interface Reader<T> extends AsyncDisposable {
  readonly items: readonly T[];
  /** Resolves with the items once there are that many. */
  atLeast(count: number, limitMs?: number): Promise<readonly T[]>;
  /** Resolves when the stream has ended, with the error that ended it, if any. */
  readonly ended: Promise<unknown>;
}

/** Reads a server stream until it is disposed. `open` is given the signal that ends it. */
export function read<T>(open: (signal: AbortSignal) => AsyncIterable<T>): Reader<T> {
  const controller = new AbortController();
  const items: T[] = [];
  const waiting = new Set<() => void>();
  const ended = (async () => {
    try {
      for await (const item of open(controller.signal)) {
        items.push(item);
        for (const check of waiting) check();
      }
      return undefined;
    } catch (error) {
      return error;
    }
  })();
  return {
    items,
    ended,
    atLeast(count, limitMs = 10_000) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(check);
          reject(new Error(`${items.length} items instead of ${count} after ${limitMs} ms`));
        }, limitMs);
        const check = (): void => {
          if (items.length < count) return;
          clearTimeout(timer);
          waiting.delete(check);
          resolve(items);
        };
        waiting.add(check);
        check();
      });
    },
    async [Symbol.asyncDispose]() {
      controller.abort();
      await ended;
    },
  };
}

/** Resolves when the stream's headers have come: from then on it misses nothing. */
export function opened(open: (onHeader: () => void) => void): Promise<void> {
  return new Promise((resolve) => open(resolve));
}
