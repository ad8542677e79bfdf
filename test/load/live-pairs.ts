import { MessageRouter, type MPCMessage } from "../../gen/mpc/router/v1/message_router_pb.js";
import type { Figure } from "./figures.ts";
import type { Rig } from "./rig.ts";
import {
  acknowledge,
  listen,
  openSessions,
  partyIds,
  registerParties,
  type Seat,
} from "./seats.ts";
import { median } from "./statistics.ts";

const router = MessageRouter.method;
const liveBytes = 512;

/** Two parties, of which one writes and the other listens. */
export interface LivePair {
  readonly from: Seat;
  readonly to: Seat;
  /** Called with the id of the next message that arrives; what nobody waits for is only acknowledged. */
  onNext: ((messageId: string) => void) | undefined;
}

export async function openLive(rig: Rig, count: number): Promise<readonly LivePair[]> {
  const channel = await rig.connect();
  const parties = partyIds("live", 2 * count);
  await registerParties(channel, parties);
  const plan = (pair: number) => ({ parties: parties.slice(2 * pair, 2 * pair + 2) });
  const sessions = await openSessions(
    [channel],
    Array.from({ length: count }, (_, n) => plan(n)),
  );
  const pairs = sessions.map(([from, to]): LivePair => {
    if (from === undefined || to === undefined) throw new Error("a pair has two seats");
    return { from, to, onNext: undefined };
  });
  for (const pair of pairs) await listen(pair.to, (message) => receive(pair, message)).opened;
  return pairs;
}

function receive(pair: LivePair, { messageId }: MPCMessage): void {
  const { onNext } = pair;
  pair.onNext = undefined;
  if (onNext !== undefined) onNext(messageId);
  // One that stays is found at the end of the run.
  else acknowledge(pair.to, messageId).catch(() => undefined);
}

const steps = ["hop", "route", "status", "poll", "heartbeat", "acknowledge"] as const;
export type Times = Readonly<Record<(typeof steps)[number], number[]>>;

/** One message after the other, and of each all that parties do about it. */
export async function timeLive(pairs: readonly LivePair[], seconds: number): Promise<Times> {
  const times: Times = {
    hop: [],
    route: [],
    status: [],
    poll: [],
    heartbeat: [],
    acknowledge: [],
  };
  const endsAt = performance.now() + seconds * 1_000;
  for (let turn = 0; performance.now() < endsAt; turn += 1) {
    const pair = pairs[turn % pairs.length];
    if (pair !== undefined) await timeMessage(pair, times);
  }
  return times;
}

async function timeMessage(pair: LivePair, times: Times): Promise<void> {
  const { channel, sessionId, partyId } = pair.to;
  const timed = async <T>(step: keyof Times, work: () => Promise<T>): Promise<T> => {
    const startedAt = performance.now();
    const result = await work();
    times[step].push(performance.now() - startedAt);
    return result;
  };
  const arrival = new Promise<string>((resolve) => (pair.onNext = resolve));
  const hop = timed("hop", () => arrival);
  await timed("route", () =>
    channel.call(router.routeMessage, {
      sessionId,
      fromParty: pair.from.partyId,
      toParties: [partyId],
      payload: new Uint8Array(liveBytes),
    }),
  );
  const messageId = await hop;
  await timed("status", () => channel.call(router.getMessageStatus, { sessionId, messageId }));
  await timed("poll", () => channel.call(router.getPendingMessages, { sessionId, partyId }));
  await timed("heartbeat", () => channel.call(router.heartbeat, { partyId }));
  await timed("acknowledge", () => acknowledge(pair.to, messageId));
}

export function liveFigures(
  times: Readonly<Record<"before" | "after" | "emptied", Times>>,
): Figure[] {
  return steps.flatMap((step) => {
    const [before, after, emptied] = [
      median(times.before[step]),
      median(times.after[step]),
      median(times.emptied[step]),
    ];
    return [
      { name: `${step}, p50, before`, value: before, unit: "ms" },
      { name: `${step}, p50, with them`, value: after, unit: "ms" },
      { name: `${step}, p50, when they are gone`, value: emptied, unit: "ms" },
      { name: `${step}, ratio`, value: (2 * after) / (before + emptied), unit: "x", most: 1.5 },
    ];
  });
}
