import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { SessionCoordinator } from "../../gen/mpc/coordinator/v1/coordinator_pb.js";
import { startRouter } from "../support/router.ts";
import { runProgram } from "./program.ts";

const source = fileURLToPath(new URL("../../examples/python/", import.meta.url));
const proto = fileURLToPath(new URL("../../proto/", import.meta.url));

/** Ten seconds here; the packages come from the registry. */
const installTimeoutMs = 120_000;

describe("a client generated for Python", () => {
  it("registers and is pushed the events of its sessions", async () => {
    await using installed = await setup();
    await using router = await startRouter();
    const coordinator = createClient(
      SessionCoordinator,
      createGrpcTransport({ baseUrl: router.url }),
    );

    // A party that comes later is told of all live sessions.
    const { session } = await coordinator.createSession({
      sessionType: "keygen",
      thresholdN: 2,
      thresholdT: 2,
      selectedParties: ["python-party", "somebody-else"],
    });
    const args = ["--addr", `${router.host}:${router.port}`, "--events", "1"];
    const ended = await installed.python(join(source, "hello.py"), ...args);

    assert.equal(
      ended,
      `registered as python-party\nsession_created ${session?.sessionId ?? ""}\n`,
    );
  });
});

/** A virtual environment with what the example requires, and its stubs. */
async function setup(): Promise<
  AsyncDisposable & { python: (...args: readonly string[]) => Promise<string> }
> {
  const folder = await mkdtemp(join(tmpdir(), "mpc-router-python-"));
  const stubs = join(folder, "gen");
  const environment = join(folder, "venv");
  const run = async (command: string, ...args: readonly string[]): Promise<string> => {
    const env = { PYTHONPATH: stubs };
    const ended = await runProgram(command, args, { env, timeoutMs: installTimeoutMs });
    assert.equal(ended.code, 0, `${ended.stdout}${ended.stderr}`);
    return ended.stdout;
  };
  const python = async (...args: readonly string[]): Promise<string> =>
    run(join(environment, "bin/python"), ...args);
  await run("python3", "-m", "venv", environment);
  await python("-m", "pip", "install", "--quiet", "-r", join(source, "requirements.txt"));
  await mkdir(stubs);
  const outputs = [`--python_out=${stubs}`, `--grpc_python_out=${stubs}`];
  const contracts = ["mpc/router/v1/message_router.proto"];
  await python("-m", "grpc_tools.protoc", "-I", proto, ...outputs, ...contracts);
  return {
    python,
    [Symbol.asyncDispose]: async () => rm(folder, { recursive: true, force: true }),
  };
}
