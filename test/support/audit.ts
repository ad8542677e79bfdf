import { spawnSync } from "node:child_process";

/** Severities that fail the run; below them nothing is reachable by somebody without a credential. */
const failing = ["high", "critical"] as const;

interface AuditReport {
  readonly auditReportVersion?: number;
  readonly message?: string;
  readonly vulnerabilities?: Readonly<Record<string, { readonly severity: string }>>;
}

/**
 * Asks the registry for known vulnerabilities of what runs in production. A registry that cannot be asked, as without a
 * network, is said and is no failure; an answer that cannot be read is one.
 */
function audit(): number {
  const { stdout } = spawnSync("npm", ["audit", "--omit=dev", "--json"], { encoding: "utf8" });
  const report = JSON.parse(stdout) as AuditReport;
  if (report.auditReportVersion === undefined) {
    process.stdout.write(`audit: not asked (${report.message ?? "no answer"})\n`);
    return 0;
  }
  const found = Object.entries(report.vulnerabilities ?? {});
  const grave = found.filter(([, { severity }]) => failing.some((word) => word === severity));
  for (const [name, { severity }] of found) process.stdout.write(`audit: ${name}: ${severity}\n`);
  process.stdout.write(`audit: ${found.length} known, ${grave.length} grave\n`);
  return grave.length === 0 ? 0 : 1;
}

process.exitCode = audit();
