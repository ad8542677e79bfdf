import type { Figure } from "./figures.ts";
import { steadily } from "./pace.ts";
import type { LoadProgram, Size } from "./program.ts";
import { countStoreLater, leftBehind, startRig, type StoreCounts } from "./rig.ts";
import { startRotation, type RotationPlan } from "./rotation.ts";
import { median } from "./statistics.ts";
import {
  cores,
  growthOf,
  memoryGrowth,
  secondHalf,
  startSampling,
  type Sample,
} from "./usage-samples.ts";

interface Plan extends RotationPlan {
  readonly messagesPerSecond: number;
}

const plans: Record<Size, Plan> = {
  full: { messagesPerSecond: 500, sessions: 25, messagesPerSession: 400 },
  smoke: { messagesPerSecond: 100, sessions: 4, messagesPerSession: 25 },
};

const maxUnderWay = 500;
/** Enough for a slope. */
const samplesPerRun = 600;
const leastSamplingMs = 100;
const mebibyte = 1_048_576;

export const soak: LoadProgram = {
  name: "soak",
  about: "500 messages a second in sessions that come and go: what grows, and what is left",
  defaultSeconds: 600,
  async run(size, seconds) {
    const plan = plans[size];
    await using rig = await startRig();
    const sessions = await startRotation(rig, plan);
    const sampling = startSampling(
      rig,
      Math.max(leastSamplingMs, (seconds * 1_000) / samplesPerRun),
    );
    const pace = { perSecond: plan.messagesPerSecond, seconds, maxUnderWay };
    const sent = await steadily(pace, (index) => sessions.sendOne(index));
    const samples = await sampling.stop();
    await sessions.end();
    const left = await leftBehind(rig);
    const { folded, dayLater } = await countStoreLater(rig);
    const totals = sessions.totals();
    return {
      figures: [
        { name: "messages", value: sent / seconds, unit: "a second" },
        { name: "sessions completed", value: totals.sessions, unit: "" },
        { name: "calls made again", value: rig.retriedCount(), unit: "" },
        { name: "streams opened again", value: totals.reopened, unit: "" },
        { name: "deliveries repeated", value: totals.repeated, unit: "" },
        { name: "hop, p50", value: median(totals.hopsMs), unit: "ms" },
        ...usageFigures(samples),
        {
          name: "nats: memory for each delivery",
          value: memoryGrowth(samples, "nats") / ((sent * 60) / seconds),
          unit: "bytes",
        },
        {
          name: "delivery records kept for 24 h",
          value: folded.deliveryRecords / totals.sessions,
          unit: "a session",
          most: 1,
        },
        {
          name: "session events kept for 24 h",
          value: folded.events / totals.sessions,
          unit: "a session",
        },
      ],
      faults: [...totals.faults, ...left, ...leftLater(dayLater)],
    };
  },
};

function leftLater({ deliveryRecords, events, sessions }: StoreCounts): readonly string[] {
  return deliveryRecords + events + sessions === 0
    ? []
    : [`a day later: ${deliveryRecords} records, ${events} events, ${sessions} sessions are left`];
}

function usageFigures(samples: readonly Sample[]): readonly Figure[] {
  return (["router", "nats"] as const).flatMap((who) => [
    {
      name: `${who}: memory`,
      value: median(secondHalf(samples).map((sample) => sample[who].residentBytes)) / mebibyte,
      unit: "MB",
    },
    {
      name: `${who}: memory grows by`,
      value: memoryGrowth(samples, who) / mebibyte,
      unit: "MB a minute",
      // The nats-server has every delivery record in its index until some minutes after the session's end.
      ...(who === "router" ? { most: 1 } : {}),
    },
    {
      name: `${who}: open files grow by`,
      value: growthOf(samples, (sample) => sample[who].openFiles),
      unit: "a minute",
      most: 1,
    },
    { name: `${who}: processor`, value: cores(samples, who), unit: "cores" },
  ]);
}
