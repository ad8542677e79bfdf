import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { startRouter } from "../support/router.ts";
import { runProgram } from "./program.ts";

const source = fileURLToPath(new URL("./go/", import.meta.url));

/** With an empty module cache and build cache. */
const buildTimeoutMs = 300_000;
const runTimeoutMs = 90_000;

describe("a client written in Go", () => {
  it("runs whole sessions over native gRPC and finds every answer right", async () => {
    await using built = await setup();
    await using router = await startRouter();

    const args = ["--addr", `${router.host}:${router.port}`];
    const result = await runProgram(built.program, args, { timeoutMs: runTimeoutMs });

    assert.equal(result.code, 0, `${result.stdout}${result.stderr}`);
    assert.match(result.stdout, /^ok: everything is as the contract says$/m);
  });
});

async function setup(): Promise<AsyncDisposable & { program: string }> {
  const folder = await mkdtemp(join(tmpdir(), "mpc-router-go-"));
  const program = join(folder, "interop");
  const options = { cwd: source, timeoutMs: buildTimeoutMs };
  const built = await runProgram("go", ["build", "-mod=readonly", "-o", program, "."], options);
  assert.equal(built.code, 0, built.stderr);
  return {
    program,
    [Symbol.asyncDispose]: async () => rm(folder, { recursive: true, force: true }),
  };
}
