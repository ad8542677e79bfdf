import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startFlakyProxy } from "../support/flaky-proxy.ts";
import { Recorder } from "./audit/recorder.ts";
import { startCeremony } from "./ceremony-run.ts";
import { deploymentKinds, startDeployment, type FaultName } from "./deployment.ts";
import { between, drawsOf, pick } from "./draws.ts";
import { faultSettings, howToRepeat, reportFigure, roundsOf } from "./settings.ts";

/** From the start of its processes to the verified signature. */
const mostMs = 30_000;

const kills: ReadonlySet<FaultName> = new Set([
  "router killed",
  "broker killed",
  "leader killed",
  "follower killed",
]);

const moments = ["keygen round 1", "keygen round 2", "sign round 1", "sign round 2"] as const;

/** The parts of a hundred that each deployment gets; of a short run, the first and the last get one. */
const shares = [40, 24, 36] as const;

describe("a ceremony in which a random process is killed", () => {
  const total = roundsOf({ short: 2, long: 100 });
  for (const [index, kind] of deploymentKinds.entries()) {
    const count = Math.round((total * (shares[index] ?? 0)) / 100);
    if (count === 0) continue;
    it(`completes on ${kind}`, { timeout: 60_000 + count * 2 * mostMs }, async () => {
      const random = drawsOf(faultSettings.seed, `ceremonies on ${kind}`);
      const recorder = new Recorder();
      const flags = ["--log-level=warn"];
      await using deployment = await startDeployment(kind, { recorder, random, flags });
      const faults = [...deployment.faults.keys()].filter((name) => kills.has(name));
      await using door = await startFlakyProxy(...deployment.routers.map(({ port }) => port));
      const times: number[] = [];
      for (let number = 1; number <= count; number += 1) {
        const name = pick(random, faults);
        const moment = pick(random, moments);
        const ceremony = startCeremony(door.url, mostMs);
        const failed = ceremony.ended.then(({ exitCode }) => exitCode !== 0);
        await Promise.race([ceremony.reached(moment), failed]);
        await sleep(between(random, 0, 250));
        await deployment.faults.get(name)?.();
        const { exitCode, tookMs } = await ceremony.ended;
        const about = `${number} of ${count}, ${name} at ${moment}; ${howToRepeat()}`;
        assert.equal(exitCode, 0, `${about}\n${ceremony.output()}\n${deployment.output()}`);
        assert.match(ceremony.output(), /"ok":true/, about);
        times.push(tookMs);
        await deployment.ready();
      }
      const [median, most] = [medianOf(times), Math.max(...times)];
      reportFigure({
        what: `${count} ceremonies with a kill on ${kind}`,
        value: `all verified, median ${seconds(median)}, longest ${seconds(most)}`,
        bar: "30 s",
      });
    });
  }
});

function medianOf(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
