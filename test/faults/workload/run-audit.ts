import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../../support/until.ts";
import { violationsOf, type Violation } from "../audit/checker.ts";
import { boxKey, ofKind } from "../audit/ledger.ts";
import type { Entry } from "../audit/record.ts";
import { Recorder } from "../audit/recorder.ts";
import { startDeployment, type DeploymentKind, type FaultName } from "../deployment.ts";
import { between, drawsOf, type Random } from "../draws.ts";
import { howToRepeat } from "../settings.ts";
import { AuditedSession } from "./audited-session.ts";
import type { Habit } from "./reader.ts";

export interface AuditPlan {
  readonly kind: DeploymentKind;
  readonly seed: number;
  /** Done one after the other, a second or two apart. */
  readonly faults: (all: readonly FaultName[], random: Random) => readonly FaultName[];
  readonly sessions?: readonly PlannedSession[];
  /** Between two messages of a sender, on average. */
  readonly pauseMs?: number;
  /** Whether every plain party gets mail again before the next fault. Default: another may come on top. */
  readonly isOneAtATime?: boolean;
}

/** One party per habit. */
export interface PlannedSession {
  readonly habits: readonly Habit[];
  /** Acknowledges everything at once, and keeps its streams. */
  readonly isPlain?: boolean;
  /** How many of the parties send; default all. */
  readonly senders?: number;
}

export interface AuditResult {
  readonly violations: readonly Violation[];
  readonly entries: readonly Entry[];
  /** Ids of the sessions whose parties keep their streams. */
  readonly plainSessions: ReadonlySet<string>;
  /** What it came to, in a line. */
  readonly summary: string;
  /** All that the routers printed. */
  readonly output: string;
}

export const mixedSessions: readonly PlannedSession[] = [
  { habits: ["stream", "stream", "poll"] },
  { habits: ["stream", "both", "late"] },
  { habits: ["both", "stream", "stream"] },
];

/** Shorter than in production, so that what is not acknowledged comes again within a run. */
const flags: readonly string[] = ["--ack-wait=2s", "--log-level=warn"];

const flowingLimitMs = 60_000;

/** Runs the workload on a deployment while things die, and audits the record. */
export async function runAudit(plan: AuditPlan): Promise<AuditResult> {
  const { kind, seed, pauseMs = 150, isOneAtATime = false } = plan;
  const recorder = new Recorder();
  const random = drawsOf(seed, "faults");
  await using deployment = await startDeployment(kind, { recorder, random, flags });
  const urls = deployment.routers.map(({ url }) => url);
  await using resources = new AsyncDisposableStack();
  const open = async (name: string, one: PlannedSession & { expiresInMs?: number }) =>
    resources.use(await AuditedSession.open({ recorder, urls, seed, pauseMs, name, ...one }));
  const planned = plan.sessions ?? mixedSessions;
  const sessions = await Promise.all(planned.map((one, index) => open(`session ${index}`, one)));
  const plain = sessions.filter((_, index) => planned[index]?.isPlain === true);
  const expiring = await open("expiring", { habits: ["late", "late"], expiresInMs: 6_000 });

  const sending = new AbortController();
  const reading = new AbortController();
  const sends = Promise.all(sessions.map((one) => one.sendUntil(sending.signal)));
  const reads = Promise.all(sessions.map((one) => one.readUntil(reading.signal)));
  for (const name of plan.faults([...deployment.faults.keys()], random)) {
    await sleep(between(random, 600, 1_800));
    if (isOneAtATime) await flowing(recorder, plain);
    await deployment.faults.get(name)?.();
  }
  await sleep(1_000);
  await deployment.ready();
  sending.abort();
  await sends;
  reading.abort();
  await reads;
  await Promise.all(sessions.map((one) => one.drain()));
  await Promise.all([
    ...sessions.map((one, index) => one.end(index % 2 === 0 ? "complete" : "cancel")),
    expiring.end("expire"),
  ]);
  const { entries } = recorder;
  const output = deployment.output();
  const plainSessions = new Set(plain.map(({ sessionId }) => sessionId));
  const summary = summaryOf(entries);
  return { violations: violationsOf(entries), entries, plainSessions, summary, output };
}

/** A test fails with all violations, the seed, and how to run it again. */
export function requireNoViolation({ violations, summary, output }: AuditResult): void {
  if (violations.length === 0) return;
  const shown = violations.slice(0, 20).map(({ rule, text }) => `  ${rule}: ${text}`);
  const log = output.split("\n").slice(-40).join("\n");
  assert.fail(
    `${violations.length} violations (${howToRepeat()})\n${shown.join("\n")}\n${summary}\n${log}`,
  );
}

/** Every fault so many times, in an order that is drawn for each time. */
export function everyFault(rounds: number): AuditPlan["faults"] {
  return (all, random) => Array.from({ length: rounds }, () => shuffled(random, all)).flat();
}

/** Resolves when every party of these sessions was brought a message that was sent after now. */
async function flowing(recorder: Recorder, sessions: readonly AuditedSession[]): Promise<void> {
  const nowMs = recorder.now();
  const before = recorder.entries.length;
  const waiting = new Set(
    sessions.flatMap(({ sessionId, partyIds }) =>
      partyIds.map((party) => boxKey({ sessionId, party })),
    ),
  );
  const isFlowing = (): boolean => {
    const since = recorder.entries.slice(before);
    const routes = ofKind(since, "route").filter(({ startMs }) => startMs > nowMs);
    const sent = new Set(routes.map(({ hash }) => hash));
    for (const delivery of ofKind(since, "delivery")) {
      if (sent.has(delivery.hash)) waiting.delete(boxKey(delivery));
    }
    return waiting.size === 0;
  };
  await until("every party gets mail", isFlowing, flowingLimitMs);
}

function summaryOf(entries: readonly Entry[]): string {
  const accepted = ofKind(entries, "route").filter(({ end }) => end.outcome === "ok").length;
  const deliveries = ofKind(entries, "delivery").length;
  const faults = ofKind(entries, "fault").map(({ what }) => what);
  return `${accepted} accepted, ${deliveries} deliveries; ${faults.join(", ")}`;
}

function shuffled<T>(random: Random, all: readonly T[]): readonly T[] {
  return all
    .map((one) => [random(), one] as const)
    .toSorted(([a], [b]) => a - b)
    .map(([, one]) => one);
}
