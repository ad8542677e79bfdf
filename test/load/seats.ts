import { setTimeout as delay } from "node:timers/promises";
import { Code } from "@connectrpc/connect";
import { SessionCoordinator } from "../../gen/mpc/coordinator/v1/coordinator_pb.js";
import { MessageRouter, type MPCMessage } from "../../gen/mpc/router/v1/message_router_pb.js";
import type { GrpcChannel, OpenStream } from "./grpc-channel.ts";
import type { Ledger } from "./ledger.ts";
import { forEach } from "./pace.ts";

const router = MessageRouter.method;
const coordinator = SessionCoordinator.method;
/** Calls that prepare a run, made at once. */
const preparingAtOnce = 16;

/** A party in a session, over a connection. */
export interface Seat {
  readonly channel: GrpcChannel;
  readonly sessionId: string;
  readonly partyId: string;
}

/** So many ids that begin with this word. */
export function partyIds(word: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${word}-${index}`);
}

export function registerParties(channel: GrpcChannel, ids: Iterable<string>): Promise<void> {
  return forEach(ids, preparingAtOnce, async (partyId) => {
    await channel.call(router.registerParty, { partyId, partyRole: "persistent" });
  });
}

export interface SessionPlan {
  readonly parties: readonly string[];
  /** Who joins and is ready; by default everybody. */
  readonly joining?: readonly string[];
  readonly expiresInMs?: number;
}

/** A keygen session of registered parties, in progress if everybody has joined. */
export async function openSession(channel: GrpcChannel, plan: SessionPlan): Promise<string> {
  const { parties, joining = parties } = plan;
  const { session, joinTokens } = await channel.call(coordinator.createSession, {
    sessionType: "keygen",
    thresholdN: parties.length,
    thresholdT: 2,
    selectedParties: [...parties],
    expiresInMs: BigInt(plan.expiresInMs ?? 3_600_000),
  });
  const sessionId = session?.sessionId ?? "";
  for (const partyId of joining) {
    const joinToken = joinTokens[partyId] ?? "";
    await channel.call(router.joinSession, { sessionId, partyId, joinToken });
  }
  for (const partyId of joining) {
    await channel.call(router.markPartyReady, { sessionId, partyId });
  }
  return sessionId;
}

/** Many sessions; the connections take turns. Resolves with a seat for each party that joins, session by session. */
export async function openSessions(
  channels: readonly GrpcChannel[],
  plans: readonly SessionPlan[],
): Promise<readonly (readonly Seat[])[]> {
  const opened: (readonly Seat[])[] = [];
  await forEach(plans.entries(), preparingAtOnce, async ([index, plan]) => {
    const channel = channels[index % channels.length];
    if (channel === undefined) throw new Error("sessions need a connection");
    const sessionId = await openSession(channel, plan);
    const joined = plan.joining ?? plan.parties;
    opened[index] = joined.map((partyId) => ({ channel, sessionId, partyId }));
  });
  return opened;
}

/** All parties report the same key, which completes the session. */
export async function completeSession(seats: readonly Seat[]): Promise<void> {
  const publicKey = new Uint8Array(33).fill(2);
  for (const { channel, sessionId, partyId } of seats) {
    await channel.call(router.reportCompletion, { sessionId, partyId, publicKey });
  }
}

export async function cancelSession({ channel, sessionId }: Seat): Promise<void> {
  await channel.call(coordinator.cancelSession, { sessionId, reason: "end of the run" });
}

/** The payload begins with the time at which it was sent, in the milliseconds of this process. */
export const leastPayloadBytes = 8;

/** Sends a message to one party, and notes it once it is accepted. */
export async function route(
  from: Seat,
  toParty: string,
  { bytes, ledger }: { readonly bytes: number; readonly ledger: Ledger },
): Promise<string> {
  const payload = Buffer.alloc(Math.max(bytes, leastPayloadBytes));
  payload.writeDoubleBE(performance.now());
  const { messageId } = await from.channel.call(router.routeMessage, {
    sessionId: from.sessionId,
    fromParty: from.partyId,
    toParties: [toParty],
    messageType: "load",
    payload,
  });
  ledger.noteRouted(messageId, toParty);
  return messageId;
}

/** Opens the stream of a seat; notes what comes, without acknowledging it. */
export function listen(seat: Seat, onMessage: (message: MPCMessage) => void): OpenStream {
  const { sessionId, partyId } = seat;
  return seat.channel.open(router.subscribeMessages, { sessionId, partyId }, onMessage);
}

export async function acknowledge(seat: Seat, messageId: string): Promise<void> {
  const { sessionId, partyId } = seat;
  await seat.channel.call(router.acknowledgeMessage, {
    sessionId,
    partyId,
    messageId,
    success: true,
  });
}

/** A seat whose stream is read, and opened again when it is cut. */
export interface Service {
  /** Times that the stream was opened again. */
  readonly reopenedCount: number;
  /** What the router said when it ended the stream for good, which it has no reason to do. */
  readonly refusal: string | undefined;
  stop(): void;
}

const reopenPauseMs = 200;

/** Opens the stream of a seat, and notes and acknowledges whatever comes. Resolves when it is open. */
export async function serve(seat: Seat, ledger: Ledger): Promise<Service> {
  const stopping = new AbortController();
  let reopenedCount = 0;
  let refusal: string | undefined;
  const open = (): OpenStream =>
    listen(seat, (message) => {
      ledger.noteDelivered(message.messageId, seat.partyId, sentAt(message));
      acknowledge(seat, message.messageId).then(
        () => (ledger.acknowledgedCount += 1),
        // It is never even then, which is what is looked at.
        () => undefined,
      );
    });
  let stream = open();
  await stream.opened;
  const keepOpen = async (): Promise<void> => {
    for (;;) {
      const error = await stream.ended;
      if (stopping.signal.aborted) return;
      refusal = error?.message;
      if (error?.code !== Code.Unavailable) return;
      await delay(reopenPauseMs);
      reopenedCount += 1;
      refusal = undefined;
      stream = open();
      // Whether it opens or not, its end says what to do.
      await stream.opened.catch(() => undefined);
    }
  };
  void keepOpen();
  return {
    get reopenedCount() {
      return reopenedCount;
    },
    get refusal() {
      return refusal;
    },
    stop() {
      stopping.abort();
      stream.cancel();
    },
  };
}

export function sentAt({ payload }: MPCMessage): number {
  return Buffer.from(payload.buffer, payload.byteOffset, payload.length).readDoubleBE();
}
