import { describe, it } from "node:test";
import { deploymentKinds, type DeploymentKind, type FaultName } from "./deployment.ts";
import { faultSettings, reportFigure, roundsOf } from "./settings.ts";
import { everyFault, requireNoViolation, runAudit, type AuditPlan } from "./workload/run-audit.ts";

/** What a short run does; all of it takes minutes. The cluster has a test of its own (failover.test.ts). */
const shortly: Partial<Readonly<Record<DeploymentKind, readonly FaultName[]>>> = {
  "one router with its own nats-server": ["broker killed", "router killed"],
  "two routers on one nats-server": ["router killed", "broker killed", "router paused"],
};

describe("mail, sessions and statuses stay as promised", () => {
  const rounds = roundsOf({ short: 0, long: 5 });
  for (const kind of deploymentKinds) {
    const some = shortly[kind] ?? [];
    if (rounds === 0 && some.length === 0) continue;
    it(`while processes of ${kind} die`, async () => {
      const faults: AuditPlan["faults"] = rounds === 0 ? () => some : everyFault(rounds);
      const result = await runAudit({ kind, seed: faultSettings.seed, faults });
      requireNoViolation(result);
      reportFigure({ what: `audit of ${kind}`, value: `no violation in ${result.summary}` });
    });
  }
});
