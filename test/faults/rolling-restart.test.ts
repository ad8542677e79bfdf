import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { allowed, faultSettings, howToRepeat, reportFigure, roundsOf } from "./settings.ts";
import { longestReconnectMs } from "./workload/gaps.ts";
import { requireNoViolation, runAudit } from "./workload/run-audit.ts";

/** From the end of a stream to the headers of the next. */
const reconnectMs = 2_000;

const partiesPerSession = 10;
/** Of each of the senders: about 90 deliveries a second, since the clients of 200 streams have the same processors. */
const pauseMs = 1_000;

describe("two routers that are restarted one after the other under load", () => {
  const streams = faultSettings.isLong ? 200 : 40;
  const rounds = roundsOf({ short: 1, long: 3 });
  it(`lose nothing, and ${streams} streams go on at once`, { timeout: 300_000 }, async () => {
    const habits = Array.from({ length: partiesPerSession }, () => "stream" as const);
    const session = { habits, isPlain: true, senders: 1 };
    const result = await runAudit({
      kind: "two routers on one nats-server",
      seed: faultSettings.seed,
      faults: () => Array.from({ length: rounds }, () => "routers restarted in turn"),
      sessions: Array.from({ length: streams / partiesPerSession }, () => session),
      pauseMs,
    });
    requireNoViolation(result);
    const tookMs = longestReconnectMs(result, "router restarted");
    reportFigure({
      what: `${streams} streams through ${rounds} rolling restarts of two routers`,
      value: `none lost, resumed after at most ${tookMs} ms`,
      bar: `${reconnectMs} ms`,
    });
    assert.ok(tookMs > 0, "streams were cut");
    assert.ok(
      tookMs <= allowed(reconnectMs),
      `a stream was open again after ${tookMs} ms; ${howToRepeat()}`,
    );
  });
});
