import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { FaultName } from "./deployment.ts";
import { allowed, faultSettings, howToRepeat, reportFigure, roundsOf } from "./settings.ts";
import { longestGapMs } from "./workload/gaps.ts";
import { mixedSessions, requireNoViolation, runAudit } from "./workload/run-audit.ts";

/** The longest that live subscribers may be without deliveries where a server leads: the others elect another. */
const electionMs = 10_000;
const bars: readonly (readonly [FaultName, number])[] = [
  ["leader killed", electionMs],
  ["follower killed", 1_000],
];

describe("a cluster of three whose servers are killed one at a time", () => {
  const count = roundsOf({ short: 1, long: 10 });
  it("loses nothing and soon delivers again", { timeout: 120_000 + count * 60_000 }, async () => {
    const result = await runAudit({
      kind: "two routers on a cluster of three",
      seed: faultSettings.seed,
      faults: () => bars.flatMap(([name]) => Array.from({ length: count }, () => name)),
      sessions: [
        { habits: ["stream", "stream", "stream"], isPlain: true },
        { habits: ["stream", "stream", "stream"], isPlain: true },
        ...mixedSessions.slice(0, 2),
      ],
      pauseMs: 100,
      isOneAtATime: true,
    });
    requireNoViolation(result);
    for (const [name, barMs] of bars) {
      const gapMs = longestGapMs(result, name);
      reportFigure({
        what: `${name} ${count} times under load`,
        value: `none lost, longest gap in delivery ${gapMs} ms`,
        bar: `${barMs} ms`,
      });
      // A cluster that gets no processor in time may elect whoever is killed.
      const mostMs = faultSettings.isLong ? barMs : allowed(electionMs);
      assert.ok(gapMs <= mostMs, `${name}: ${gapMs} ms without deliveries; ${howToRepeat()}`);
    }
  });
});
