import { createHash } from "node:crypto";
import { seededRandom } from "../support/flaky-proxy.ts";

/** Numbers from 0 to 1. */
export type Random = () => number;

/** Draws of their own for each name: who draws more does not change what others get. */
export function drawsOf(seed: number, name: string): Random {
  return seededRandom(createHash("sha256").update(`${seed} ${name}`).digest().readUInt32BE());
}

/** A number from the range. */
export function between(random: Random, from: number, to: number): number {
  return from + random() * (to - from);
}

export function pick<T>(random: Random, from: readonly T[]): T {
  const picked = from[Math.floor(random() * from.length)];
  if (picked === undefined) throw new Error("there is nothing to pick from");
  return picked;
}
