import type { Findings } from "./figures.ts";
import type { OpenStream } from "./grpc-channel.ts";
import { Ledger } from "./ledger.ts";
import { steadily } from "./pace.ts";
import type { LoadProgram, Size } from "./program.ts";
import { leftBehind, startRig, type Rig } from "./rig.ts";
import {
  cancelSession,
  listen,
  openSessions,
  partyIds,
  registerParties,
  route,
  serve,
  type Seat,
} from "./seats.ts";
import { median, quantile } from "./statistics.ts";
import { startSampling } from "./usage-samples.ts";
import { until } from "../support/until.ts";

const mebibyte = 1_048_576;

interface Plan {
  readonly fastReaders: number;
  readonly fastPerSecond: number;
  readonly stalledReaders: number;
  /** To all stalled readers together. */
  readonly smallPerSecond: number;
  readonly largePerSecond: number;
  /** Times that the three kinds of blocks take turns: what else the machine does is in all of them. */
  readonly turns: number;
}

const plans: Record<Size, Plan> = {
  full: {
    fastReaders: 200,
    fastPerSecond: 200,
    stalledReaders: 16,
    smallPerSecond: 16,
    largePerSecond: 2,
    turns: 4,
  },
  smoke: {
    fastReaders: 20,
    fastPerSecond: 50,
    stalledReaders: 4,
    smallPerSecond: 8,
    largePerSecond: 16,
    turns: 1,
  },
};

const fastBytes = 512;
const smallBytes = 256;
const maxUnderWay = 1_000;
/** By then a reader that does not read has been sent all that it is ever sent. */
const openingSeconds = 2;

export const slowReaders: LoadProgram = {
  name: "slow-readers",
  about: "200 fast readers, without and beside 16 that have stopped reading",
  defaultSeconds: 120,
  async run(size, seconds) {
    const plan = plans[size];
    await using rig = await startRig();
    const fast = await openReaders(rig, "fast", plan.fastReaders);
    const slow = await openReaders(rig, "slow", plan.stalledReaders);
    const toFast = new Ledger();
    const toSlow = new Ledger();
    for (const seat of fast) await serve(seat, toFast);
    const blockSeconds = seconds / (3 * plan.turns);
    const load = (loadSeconds = blockSeconds): Promise<number> =>
      steadily(
        { perSecond: plan.fastPerSecond, seconds: loadSeconds, maxUnderWay },
        async (index) => {
          const from = at(fast, index);
          await route(from, partnerOf(fast, index).partyId, { bytes: fastBytes, ledger: toFast });
        },
      );
    const feed = (): Promise<unknown> => feedStalled(slow, toSlow, { plan, seconds: blockSeconds });

    // Compilers and connections get warm before anything counts.
    await load();
    const blocks: Blocks = { alone: [], absent: [], opening: [], stalled: [] };
    const both = (): Promise<unknown> => Promise.all([load(), feed()]);
    for (let turn = 0; turn < plan.turns; turn += 1) {
      blocks.alone.push(await measure(rig, toFast, () => load()));
      blocks.absent.push(await measure(rig, toFast, both));
      const streams: OpenStream[] = [];
      const opening = async (): Promise<unknown> =>
        Promise.all([load(openingSeconds), stall(slow).then((opened) => streams.push(...opened))]);
      blocks.opening.push(await measure(rig, toFast, opening));
      blocks.stalled.push(await measure(rig, toFast, both));
      for (const stream of streams) stream.cancel();
    }
    const lost = [...(await missing("fast", toFast)), ...(await collect(slow, toSlow))];
    for (const seats of [fast, slow]) {
      for (const [index, seat] of seats.entries()) if (index % 2 === 0) await cancelSession(seat);
    }
    return {
      figures: figuresOf(plan, blocks),
      faults: [...lost, ...(await leftBehind(rig))],
    };
  },
};

/** Readers in sessions of two, who write to each other. */
async function openReaders(rig: Rig, word: string, count: number): Promise<readonly Seat[]> {
  const channels = await Promise.all(Array.from({ length: 8 }, () => rig.connect()));
  const parties = partyIds(word, count);
  const [first] = channels;
  if (first !== undefined) await registerParties(first, parties);
  const pairs = Array.from({ length: count / 2 }, (_, pair) => ({
    parties: parties.slice(2 * pair, 2 * pair + 2),
  }));
  return (await openSessions(channels, pairs)).flat();
}

function at(seats: readonly Seat[], index: number): Seat {
  const seat = seats[index % seats.length];
  if (seat === undefined) throw new Error("there are no seats");
  return seat;
}

function partnerOf(seats: readonly Seat[], index: number): Seat {
  return at(seats, (index % seats.length) ^ 1);
}

/** Opens the streams of the seats, and reads nothing of them. */
async function stall(seats: readonly Seat[]): Promise<readonly OpenStream[]> {
  const streams = seats.map((seat) => listen(seat, () => undefined));
  for (const stream of streams) stream.stall();
  await Promise.all(streams.map(({ opened }) => opened));
  return streams;
}

function feedStalled(
  seats: readonly Seat[],
  ledger: Ledger,
  { plan, seconds }: { readonly plan: Plan; readonly seconds: number },
): Promise<unknown> {
  const feed = (perSecond: number, bytes: number): Promise<number> =>
    steadily({ perSecond, seconds, maxUnderWay }, async (index) => {
      await route(at(seats, index), partnerOf(seats, index).partyId, { bytes, ledger });
    });
  return Promise.all([feed(plan.smallPerSecond, smallBytes), feed(plan.largePerSecond, mebibyte)]);
}

interface Block {
  readonly hopsMs: readonly number[];
  /** The most that the router took at any time. */
  readonly routerBytes: number;
}

/**
 * Alone; with mail for slow readers that are away; while these open their full mailboxes; with the same mail for them when
 * they have stalled.
 */
type Blocks = Record<"alone" | "absent" | "opening" | "stalled", Block[]>;

const samplingMs = 250;

async function measure(rig: Rig, ledger: Ledger, load: () => Promise<unknown>): Promise<Block> {
  const from = ledger.hopsMs.length;
  const sampling = startSampling(rig, samplingMs);
  await load();
  const samples = await sampling.stop();
  const routerBytes = Math.max(...samples.map(({ router }) => router.residentBytes));
  return { routerBytes, hopsMs: ledger.hopsMs.slice(from) };
}

/** Reads all that was kept for the stalled readers. */
async function collect(seats: readonly Seat[], ledger: Ledger): Promise<readonly string[]> {
  const services = await Promise.all(seats.map((seat) => serve(seat, ledger)));
  const lost = await missing("stalled", ledger);
  for (const service of services) service.stop();
  return lost;
}

const deliveryMs = 60_000;

/** What does not come in its time is lost. */
async function missing(whose: string, ledger: Ledger): Promise<readonly string[]> {
  // The count says all there is to say about a wait in vain.
  await until("everything has come", () => ledger.isEven(), deliveryMs).catch(() => undefined);
  return ledger.isEven() ? [] : [`${ledger.missingCount} messages to ${whose} readers are lost`];
}

/** The middle one of the blocks: one that something else on the machine has disturbed does not count. */
function hopMs(blocks: readonly Block[], share: number): number {
  return median(blocks.map(({ hopsMs }) => quantile(hopsMs, share)));
}

function peak(blocks: readonly Block[]): number {
  return Math.max(...blocks.map(({ routerBytes }) => routerBytes)) / mebibyte;
}

function figuresOf(plan: Plan, { alone, absent, opening, stalled }: Blocks): Findings["figures"] {
  const before = absent[0] === undefined ? Number.NaN : peak([absent[0]]);
  return [
    { name: "hop of the fast, alone, p50", value: hopMs(alone, 0.5), unit: "ms" },
    { name: "hop of the fast, alone, p99", value: hopMs(alone, 0.99), unit: "ms" },
    { name: "hop, the slow get mail but are away, p50", value: hopMs(absent, 0.5), unit: "ms" },
    { name: "hop, the slow get mail but are away, p99", value: hopMs(absent, 0.99), unit: "ms" },
    { name: "hop, the slow open full mailboxes, p99", value: hopMs(opening, 0.99), unit: "ms" },
    { name: "hop, the slow are stalled, p50", value: hopMs(stalled, 0.5), unit: "ms" },
    { name: "hop, the slow are stalled, p99", value: hopMs(stalled, 0.99), unit: "ms" },
    {
      name: "p99, stalled to alone",
      value: hopMs(stalled, 0.99) / hopMs(alone, 0.99),
      unit: "x",
      most: 2,
    },
    { name: "p99, stalled to away", value: hopMs(stalled, 0.99) / hopMs(absent, 0.99), unit: "x" },
    { name: "router before any stalled reader", value: before, unit: "MB" },
    { name: "router with stalled readers, at most", value: peak(stalled), unit: "MB" },
    {
      name: "router's memory per stalled stream",
      value: (peak(stalled) - before) / plan.stalledReaders,
      unit: "MB",
      most: 8,
    },
  ];
}
