import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { SessionCoordinator } from "../../gen/mpc/coordinator/v1/coordinator_pb.js";
import { showing, startIssuer } from "../support/credentials.ts";
import { startRouter, type RouterProcess } from "../support/router.ts";
import { runProgram } from "./program.ts";

const source = fileURLToPath(new URL("../../examples/python/", import.meta.url));
const proto = fileURLToPath(new URL("../../proto/", import.meta.url));

/** Ten seconds here; the packages come from the registry. */
const installTimeoutMs = 120_000;

describe("a client generated for Python", () => {
  let installed: Installed;
  before(async () => {
    installed = await install();
  });
  after(async () => installed[Symbol.asyncDispose]());

  it("registers and is pushed the events of its sessions", async () => {
    await using router = await startRouter();
    const sessionId = await createSession(router);

    const args = ["--addr", `${router.host}:${router.port}`, "--events", "1"];
    const ended = await installed.python(join(source, "hello.py"), ...args);

    assert.equal(ended, `registered as python-party\nsession_created ${sessionId}\n`);
  });

  it("shows its token to a router with authentication", async () => {
    await using issuer = await startIssuer();
    await using router = await startRouter({ args: issuer.flags });
    const sessionId = await createSession(router, await issuer.coordinator());
    const tokenFile = join(issuer.directory, "token");
    await writeFile(tokenFile, `${await issuer.party("python-party")}\n`);

    const args = ["--addr", `${router.host}:${router.port}`, "--events", "1"];
    const ended = await installed.python(
      join(source, "hello.py"),
      ...args,
      "--token-file",
      tokenFile,
    );

    assert.equal(ended, `registered as python-party\nsession_created ${sessionId}\n`);
  });
});

/** A party that comes later is told of all live sessions. */
async function createSession(router: RouterProcess, token?: string): Promise<string> {
  const interceptors = showing(token);
  const transport = createGrpcTransport({ baseUrl: router.url, interceptors });
  const { session } = await createClient(SessionCoordinator, transport).createSession({
    sessionType: "keygen",
    thresholdN: 2,
    thresholdT: 2,
    selectedParties: ["python-party", "somebody-else"],
  });
  return session?.sessionId ?? "";
}

interface Installed extends AsyncDisposable {
  python(this: void, ...args: readonly string[]): Promise<string>;
}

/** A virtual environment with what the example requires, and its stubs. */
async function install(): Promise<Installed> {
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
