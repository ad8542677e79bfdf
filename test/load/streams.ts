import { setTimeout as delay } from "node:timers/promises";
import { Ledger } from "./ledger.ts";
import { forEach } from "./pace.ts";
import type { LoadProgram, Size } from "./program.ts";
import { countStore, leftBehind, startRig } from "./rig.ts";
import {
  cancelSession,
  openSessions,
  partyIds,
  registerParties,
  route,
  serve,
  type Seat,
  type Service,
} from "./seats.ts";
import { until } from "../support/until.ts";

interface Plan {
  readonly sessions: number;
  readonly partiesPerSession: number;
}

const plans: Record<Size, Plan> = {
  full: { sessions: 100, partiesPerSession: 10 },
  smoke: { sessions: 5, partiesPerSession: 4 },
};

const openingAtOnce = 16;
const connections = 8;
const mebibyte = 1_048_576;

export const idleStreams: LoadProgram = {
  name: "streams",
  about: "1,000 message streams on which nothing happens: what one costs",
  defaultSeconds: 60,
  async run(size, seconds) {
    const plan = plans[size];
    await using rig = await startRig();
    const channels = await Promise.all(Array.from({ length: connections }, () => rig.connect()));
    const seats = await openAll(channels, plan);
    const before = await rig.usage();
    const ledger = new Ledger();
    const startedAt = performance.now();
    const services: Service[] = [];
    await forEach(seats, openingAtOnce, async (seat) => {
      services.push(await serve(seat, ledger));
    });
    const openingSeconds = (performance.now() - startedAt) / 1_000;
    const { consumers } = await countStore(rig);
    const opened = await rig.usage();
    await delay(seconds * 1_000);
    const idle = await rig.usage();
    await sendToAll(seats, ledger);
    const isComplete = await until("all streams deliver", () => ledger.isEven(), 30_000).then(
      () => true,
      () => false,
    );
    for (const service of services) service.stop();
    for (const [index, seat] of seats.entries()) {
      if (index % plan.partiesPerSession === 0) await cancelSession(seat);
    }
    const count = seats.length;
    const perStream = (who: "router" | "nats"): number =>
      (idle[who].residentBytes - before[who].residentBytes) / 1_024 / count;
    const perMinute = (who: "router" | "nats"): number =>
      ((idle[who].cpuSeconds - opened[who].cpuSeconds) * 60) / seconds;
    return {
      figures: [
        { name: "streams", value: count, unit: "" },
        { name: "opened at", value: count / openingSeconds, unit: "a second" },
        { name: "consumers", value: consumers, unit: "" },
        {
          name: "router, all sessions joined",
          value: before.router.residentBytes / mebibyte,
          unit: "MB",
        },
        {
          name: "router, all streams open",
          value: idle.router.residentBytes / mebibyte,
          unit: "MB",
        },
        { name: "router, a stream", value: perStream("router"), unit: "KB" },
        { name: "nats-server, a stream", value: perStream("nats"), unit: "KB" },
        { name: "router idle", value: perMinute("router"), unit: "processor seconds a minute" },
        { name: "nats-server idle", value: perMinute("nats"), unit: "processor seconds a minute" },
      ],
      faults: [
        ...(isComplete ? [] : [`${ledger.missingCount} messages to idle streams are lost`]),
        ...(await leftBehind(rig)),
      ],
    };
  },
};

async function openAll(
  channels: Parameters<typeof openSessions>[0],
  { sessions, partiesPerSession }: Plan,
): Promise<readonly Seat[]> {
  const parties = partyIds("idle", sessions * partiesPerSession);
  const [first] = channels;
  if (first !== undefined) await registerParties(first, parties);
  const rosters = Array.from({ length: sessions }, (_, session) => ({
    parties: parties.slice(session * partiesPerSession, (session + 1) * partiesPerSession),
  }));
  return (await openSessions(channels, rosters)).flat();
}

/** To each from its neighbour in the session. */
function sendToAll(seats: readonly Seat[], ledger: Ledger): Promise<void> {
  const bySession = Map.groupBy(seats, ({ sessionId }) => sessionId);
  return forEach(seats, openingAtOnce, async (seat) => {
    const roster = bySession.get(seat.sessionId) ?? [];
    const from = roster[(roster.indexOf(seat) + 1) % roster.length];
    if (from !== undefined) await route(from, seat.partyId, { bytes: 256, ledger });
  });
}
