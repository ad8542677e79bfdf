import { MessageRouter } from "../../gen/mpc/router/v1/message_router_pb.js";
import { streams } from "../../src/nats/subjects.ts";
import { until } from "../support/until.ts";
import type { Figure } from "./figures.ts";
import type { GrpcChannel } from "./grpc-channel.ts";
import { liveFigures, openLive, timeLive } from "./live-pairs.ts";
import { forEach } from "./pace.ts";
import type { LoadProgram, Size } from "./program.ts";
import { countStore, leftBehind, startRig, type Rig } from "./rig.ts";
import { cancelSession, openSession, partyIds, registerParties, type Seat } from "./seats.ts";
import { idleCost, passCost, type IdleCost } from "./standing-cost.ts";

const router = MessageRouter.method;

interface Plan {
  /** Each has one sender and parties that never come. */
  readonly sessions: number;
  readonly offlineParties: number;
  /** To every one of the parties that never come. */
  readonly messagesPerMailbox: number;
  readonly livePairs: number;
  readonly idleSeconds: number;
  /** In which a pass over the store is sure to begin and end. */
  readonly passSeconds: number;
}

const plans: Record<Size, Plan> = {
  full: {
    sessions: 50,
    offlineParties: 20,
    messagesPerMailbox: 100,
    livePairs: 8,
    idleSeconds: 60,
    passSeconds: 20,
  },
  smoke: {
    sessions: 4,
    offlineParties: 10,
    messagesPerMailbox: 10,
    livePairs: 2,
    idleSeconds: 1,
    passSeconds: 1,
  },
};

const dayMs = 86_400_000;
const fillBytes = 1_024;
const fillingAtOnce = 8;

export const bigMailboxes: LoadProgram = {
  name: "big-mailboxes",
  about: "what 100,000 messages that wait for a day cost those who are there",
  defaultSeconds: 90,
  async run(size, seconds) {
    const plan = plans[size];
    await using rig = await startRig();
    const channel = await rig.connect();
    const live = await openLive(rig, plan.livePairs);
    const waiting = await openWaiting(channel, plan);
    // Compilers and connections get warm before anything counts.
    await timeLive(live, seconds / 3);
    const idleBefore = await idleCost(rig, plan.idleSeconds);
    const passBefore = await passCost(rig, plan.passSeconds);
    const before = await timeLive(live, seconds / 3);
    const startedAt = performance.now();
    await fill(waiting, plan);
    const fillSeconds = (performance.now() - startedAt) / 1_000;
    const idleAfter = await idleCost(rig, plan.idleSeconds);
    const passAfter = await passCost(rig, plan.passSeconds);
    const after = await timeLive(live, seconds / 3);
    const count = plan.sessions * plan.offlineParties * plan.messagesPerMailbox;
    const stored = await settledCount(rig, count);
    // They would stay for a day; what is left of them is not the router's doing.
    await rig.jsm.streams.purge(streams.messages);
    const emptied = await timeLive(live, seconds / 3);
    for (const pair of live) await cancelSession(pair.from);
    for (const seat of waiting) await cancelSession(seat);
    return {
      figures: [
        { name: "messages that wait", value: stored, unit: "" },
        { name: "filled at", value: count / fillSeconds, unit: "messages a second" },
        ...liveFigures({ before, after, emptied }),
        ...idleFigures(idleBefore, idleAfter),
        { name: "a pass over the store, before", value: passBefore, unit: processorSeconds },
        { name: "a pass over the store, with them", value: passAfter, unit: processorSeconds },
      ],
      faults: [
        ...(stored === count ? [] : [`${stored} of ${count} messages wait`]),
        ...(await leftBehind(rig)),
      ],
    };
  },
};

/** Messages in the store, once the copies that the live parties have acknowledged are gone. */
async function settledCount(rig: Rig, expected: number): Promise<number> {
  let messages = Number.NaN;
  const isSettled = async (): Promise<boolean> => {
    ({ messages } = await countStore(rig));
    return messages === expected;
  };
  // The number says all there is to say about a wait in vain.
  await until("acknowledged copies are gone", isSettled, 10_000).catch(() => undefined);
  return messages;
}

/** One seat a session: the sender, who alone has joined. */
async function openWaiting(channel: GrpcChannel, plan: Plan): Promise<readonly Seat[]> {
  const seats: Seat[] = [];
  await forEach(Array.from({ length: plan.sessions }).keys(), fillingAtOnce, async (session) => {
    const parties = partyIds(`wait-${session}`, plan.offlineParties + 1);
    const [partyId = ""] = parties;
    await registerParties(channel, parties);
    const sessionId = await openSession(channel, {
      parties,
      joining: [partyId],
      expiresInMs: dayMs,
    });
    seats.push({ channel, sessionId, partyId });
  });
  return seats;
}

/** Every call leaves a copy for each of the parties that are away. */
async function fill(seats: readonly Seat[], { messagesPerMailbox }: Plan): Promise<void> {
  const calls = seats.flatMap((seat) => Array.from({ length: messagesPerMailbox }, () => seat));
  await forEach(calls, fillingAtOnce, async ({ channel, sessionId, partyId }) => {
    const payload = new Uint8Array(fillBytes);
    await channel.call(router.routeMessage, { sessionId, fromParty: partyId, payload });
  });
}

const processorSeconds = "processor seconds";
const mebibyte = 1_048_576;

function idleFigures(before: IdleCost, after: IdleCost): readonly Figure[] {
  const perMinute = `${processorSeconds} a minute`;
  return [
    { name: "router idle, before", value: before.routerSeconds, unit: perMinute },
    { name: "router idle, with them", value: after.routerSeconds, unit: perMinute },
    { name: "nats-server idle, before", value: before.natsSeconds, unit: perMinute },
    { name: "nats-server idle, with them", value: after.natsSeconds, unit: perMinute },
    { name: "router, before", value: before.router.residentBytes / mebibyte, unit: "MB" },
    { name: "router, with them", value: after.router.residentBytes / mebibyte, unit: "MB" },
    { name: "nats-server, before", value: before.nats.residentBytes / mebibyte, unit: "MB" },
    { name: "nats-server, with them", value: after.nats.residentBytes / mebibyte, unit: "MB" },
  ];
}
