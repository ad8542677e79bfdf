import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { randomUUID } from "node:crypto";
import { describe, it } from "node:test";
import { endOrphans } from "../../../src/broker/orphans.ts";
import { silentLogger } from "../../../src/telemetry/logger.ts";

/** Processes with command lines of their own, which say when they listen to signals. */
function setup() {
  const children: ChildProcess[] = [];
  return {
    configPath: `/tmp/${randomUUID()}/nats-server.conf`,
    end: (configPath: string) => endOrphans(configPath, { logger: silentLogger, patienceMs: 300 }),
    async start(args: readonly string[], onSigterm = "process.exit()"): Promise<ChildProcess> {
      const program = `process.on("SIGTERM", () => ${onSigterm}); setInterval(() => {}, 1e6); console.log();`;
      const child = spawn(process.execPath, ["-e", program, "--", ...args], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      children.push(child);
      await once(child.stdout, "data");
      return child;
    },
    [Symbol.dispose]() {
      for (const child of children) child.kill("SIGKILL");
    },
  };
}

const isRunning = (child: ChildProcess): boolean =>
  child.exitCode === null && child.signalCode === null;

describe("ending what a killed router left behind", () => {
  it("ends the servers of this configuration, and of no other", async () => {
    using fixture = setup();
    const { configPath } = fixture;
    const ours = await fixture.start(["-c", configPath]);
    const exited = once(ours, "exit");
    const others = [
      await fixture.start(["-c", `${configPath}.other`]),
      await fixture.start(["-c", `/other${configPath}`]),
      await fixture.start([configPath]),
      await fixture.start(["-c", configPath, "more"]),
    ];
    await fixture.end(configPath);
    assert.deepEqual(await exited, [0, null]);
    assert.ok(others.every(isRunning));
  });

  it("ends one that does not listen to SIGTERM", async () => {
    using fixture = setup();
    const deaf = await fixture.start(["-c", fixture.configPath], "undefined");
    const exited = once(deaf, "exit");
    await fixture.end(fixture.configPath);
    assert.deepEqual(await exited, [null, "SIGKILL"]);
  });

  it("does nothing where there is none", async () => {
    using fixture = setup();
    await fixture.end(fixture.configPath);
  });
});
