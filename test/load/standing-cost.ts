import { setTimeout as delay } from "node:timers/promises";
import { startRouter } from "../support/router.ts";
import type { Rig, RigUsage } from "./rig.ts";

export interface IdleCost extends RigUsage {
  readonly routerSeconds: number;
  readonly natsSeconds: number;
}

/** Processor seconds a minute while nobody calls, and the memory at its end. */
export async function idleCost(rig: Rig, seconds: number): Promise<IdleCost> {
  const before = await rig.usage();
  const startedAt = performance.now();
  await delay(seconds * 1_000);
  const after = await rig.usage();
  const minutes = (performance.now() - startedAt) / 60_000;
  return {
    ...after,
    routerSeconds: (after.router.cpuSeconds - before.router.cpuSeconds) / minutes,
    natsSeconds: (after.nats.cpuSeconds - before.nats.cpuSeconds) / minutes,
  };
}

/**
 * A router that vanishes makes another one look through the whole store, for what it has left half done. Processor
 * seconds of router and nats-server together; what idling costs is in it.
 */
export async function passCost(rig: Rig, seconds: number): Promise<number> {
  const other = await startRouter({ args: [`--nats-url=${rig.nats.url}`] });
  await other.kill("SIGKILL");
  const before = await rig.usage();
  await delay(seconds * 1_000);
  const after = await rig.usage();
  await other[Symbol.asyncDispose]();
  const spent = (who: "router" | "nats"): number => after[who].cpuSeconds - before[who].cpuSeconds;
  return spent("router") + spent("nats");
}
