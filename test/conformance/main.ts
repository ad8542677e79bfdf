import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** For all cases, in milliseconds: a server that hangs must not hold up whoever waits. */
const limitMs = 600_000;
const tool = "connectrpc.com/conformance";
const toolModule = join(import.meta.dirname, "tool");

/** The official conformance suite on the router's port: its exit code is ours. */
async function main(): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), "mpc-router-conformance-"));
  try {
    const runner = join(directory, "connectconformance");
    const descriptors = join(directory, "descriptors.binpb");
    run("go", ["build", "-o", runner, `${tool}/cmd/connectconformance`], toolModule);
    const source = run("go", ["list", "-m", "-f", "{{.Dir}}", tool], toolModule).trim();
    run("buf", ["build", join(source, "proto"), "-o", descriptors]);
    const conf = join(import.meta.dirname, "features.yaml");
    const server = [process.execPath, join(import.meta.dirname, "server.ts")];
    const asked = process.argv.slice(2);
    const args = ["--mode", "server", "--conf", conf, ...asked, "--", ...server];
    const suite = spawn(runner, args, {
      env: { ...process.env, CONFORMANCE_DESCRIPTORS: descriptors },
      stdio: ["ignore", "inherit", "inherit"],
      timeout: limitMs,
      killSignal: "SIGKILL",
    });
    const [code, signal] = (await once(suite, "exit")) as [number | null, string | null];
    if (signal !== null) process.stderr.write(`not done after ${limitMs / 1_000} s\n`);
    return code ?? 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Runs a program to its end and returns what it printed; throws when it fails. */
function run(program: string, args: readonly string[], cwd?: string): string {
  const { status, stdout, error } = spawnSync(program, args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    ...(cwd === undefined ? {} : { cwd }),
  });
  if (status !== 0) throw new Error(`${program} failed`, { cause: error });
  return stdout;
}

process.exitCode = await main();
