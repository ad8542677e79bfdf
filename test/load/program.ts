import type { Findings } from "./figures.ts";

/** Smoke: a few seconds that show whether the program runs and nothing is lost; its times say nothing. */
export type Size = "full" | "smoke";

/** One way of loading a router. */
export interface LoadProgram {
  readonly name: string;
  readonly about: string;
  /** How long the measured part of a full run takes when nobody says otherwise. */
  readonly defaultSeconds: number;
  run(size: Size, seconds: number): Promise<Findings>;
}
