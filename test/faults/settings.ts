import { appendFileSync } from "node:fs";
import { crowded } from "../support/crowded.ts";

/** How the fault tests are to run: short unless told otherwise, as in the suite. */
export interface FaultSettings {
  readonly isLong: boolean;
  /** All that is drawn follows from it; what the machine does in between does not. */
  readonly seed: number;
  /** How often a test does what it repeats, where that was asked for. */
  readonly rounds: number | undefined;
}

export const environment = {
  long: "FAULTS_LONG",
  seed: "FAULTS_SEED",
  rounds: "FAULTS_ROUNDS",
  /** File that takes the figures, a line of JSON each. */
  figures: "FAULTS_FIGURES",
} as const;

export const faultSettings: FaultSettings = {
  isLong: process.env[environment.long] === "1",
  seed: Number(process.env[environment.seed] ?? Math.floor(Math.random() * 2 ** 31)),
  rounds:
    process.env[environment.rounds] === undefined
      ? undefined
      : Number(process.env[environment.rounds]),
};

/** How often: as asked for, else by the length of the run. */
export function roundsOf(lengths: { readonly short: number; readonly long: number }): number {
  return faultSettings.rounds ?? (faultSettings.isLong ? lengths.long : lengths.short);
}

/** The most that may be where this much was promised of a machine that does nothing else, as in a long run. */
export function allowed(promisedMs: number): number {
  return faultSettings.isLong ? promisedMs : crowded(promisedMs);
}

/** For a failure: how to have the same draws again. */
export function howToRepeat(): string {
  const { isLong, seed } = faultSettings;
  return `seed ${seed}; again: npm run test:faults -- ${isLong ? "--long " : ""}--seed ${seed}`;
}

export interface Figure {
  readonly what: string;
  readonly value: string;
  /** What it must not exceed, where there is a bar. */
  readonly bar?: string;
}

/** For the summary at the end of `npm run test:faults`; elsewhere it goes nowhere. */
export function reportFigure(figure: Figure): void {
  const path = process.env[environment.figures];
  if (path !== undefined) appendFileSync(path, `${JSON.stringify(figure)}\n`);
}
