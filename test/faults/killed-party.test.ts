import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { describe, it } from "node:test";
import { Recorder } from "./audit/recorder.ts";
import { startDeployment } from "./deployment.ts";
import { runDesertedSession, type DesertedSession } from "./deserted-session.ts";
import { drawsOf } from "./draws.ts";
import { allowed, faultSettings, howToRepeat, reportFigure, roundsOf } from "./settings.ts";
import { moments } from "./victim.ts";

/** As many party processes start at once as a small machine can take. */
const mostAtOnce = 10;

/** An expiry comes within this time, on whatever instance. */
const lateMs = 2_000;

describe("a ceremony in which a party is killed", () => {
  const total = roundsOf({ short: 4, long: 20 });
  const expiresInMs = 20_000;
  const limitMs = 60_000 + Math.ceil(total / mostAtOnce) * (expiresInMs + 30_000);
  it("ends at its expiry, once, and names who did not report", { timeout: limitMs }, async () => {
    const random = drawsOf(faultSettings.seed, "killed party");
    const kind = "two routers on one nats-server";
    const flags = ["--log-level=warn"];
    const recorder = new Recorder();
    await using deployment = await startDeployment(kind, { recorder, random, flags });
    const urls = deployment.routers.map(({ url }) => url);
    const plans = Array.from({ length: total }, (_, index) => ({
      url: urls[index % urls.length] ?? "",
      name: `d-${randomUUID().slice(0, 8)}`,
      moment: moments[index % moments.length] ?? "in round 1",
      expiresInMs,
    }));
    const ended: DesertedSession[] = [];
    for (let next = 0; next < plans.length; next += mostAtOnce) {
      const some = plans.slice(next, next + mostAtOnce);
      ended.push(...(await Promise.all(some.map(runDesertedSession))));
    }
    for (const [index, one] of ended.entries()) requireGoodEnd(one, plans[index]?.moment);
    const latest = Math.max(...ended.map(({ heardAfterMs }) => heardAfterMs));
    assert.ok(latest <= allowed(lateMs), `an end came ${latest} ms late; ${howToRepeat()}`);
    reportFigure({
      what: `${total} ceremonies with a killed party`,
      value: `all expired, heard of at most ${latest} ms after the expiry`,
      bar: `${lateMs} ms`,
    });
  });
});

function requireGoodEnd(
  { session, victimId, terminalEvents }: DesertedSession,
  moment?: string,
): void {
  const about = `${session.sessionId}, whose party was killed ${moment}; ${howToRepeat()}`;
  assert.equal(session.status, "expired", about);
  assert.equal(terminalEvents.length, 1, `${about}: ${terminalEvents.join(", ")}`);
  const silent = session.parties.filter(({ state }) => state !== "completed");
  assert.ok(
    silent.some(({ partyId }) => partyId === victimId),
    about,
  );
  if (moment !== "before it reports") return;
  assert.deepEqual(
    silent.map(({ partyId }) => partyId),
    [victimId],
    about,
  );
}
